package io.github.runsvc.client;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;

/** What changes when a file is replaced or written. */
record FileVersion(FileTime modified, long size, Object inode) {
  static FileVersion of(Path path) throws IOException {
    BasicFileAttributes file = Files.readAttributes(path, BasicFileAttributes.class);
    return new FileVersion(file.lastModifiedTime(), file.size(), file.fileKey());
  }
}
