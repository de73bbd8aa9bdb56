package io.github.runsvc.client;

import io.github.runsvc.v1.ListByThreadRequest;
import io.github.runsvc.v1.ListByThreadResponse;
import io.github.runsvc.v1.Run;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The runs of a thread, newest first. An iteration fetches pages as needed. Each iteration starts
 * with the first page.
 */
public final class RunPages implements Iterable<Run> {
  private final ListByThreadRequest first;
  private final Fetch fetch;

  RunPages(ListByThreadRequest first, Fetch fetch) {
    this.first = first;
    this.fetch = fetch;
  }

  /** Fetches one page. */
  interface Fetch {
    ListByThreadResponse page(ListByThreadRequest request);
  }

  @Override
  public Iterator<Run> iterator() {
    return new Runs();
  }

  /** Returns the runs as a stream. */
  public Stream<Run> stream() {
    return StreamSupport.stream(spliterator(), false);
  }

  private final class Runs implements Iterator<Run> {
    private ListByThreadRequest request = first;
    private Iterator<Run> page;
    private String nextPageToken;

    @Override
    public boolean hasNext() {
      // A page can be empty without being the last.
      while (page == null || !page.hasNext() && !nextPageToken.isEmpty()) {
        fetchPage();
      }
      return page.hasNext();
    }

    private void fetchPage() {
      if (page != null) {
        request = request.toBuilder().setPageToken(nextPageToken).build();
      }
      ListByThreadResponse response = fetch.page(request);
      page = response.getRunsList().iterator();
      nextPageToken = response.getNextPageToken();
    }

    @Override
    public Run next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      return page.next();
    }
  }
}
