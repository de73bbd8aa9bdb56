CLIENTS += java
java.needs := Java 17 or newer and Maven
java.present := mvn --version && javac --version | grep -E 'javac (1[7-9]|[2-9][0-9])'
java.generated := clients/java/src/main/java/io/github/runsvc/v1
java.generators := .tools/java/.ready

MVN := mvn --quiet --batch-mode --no-transfer-progress
# This machine's name on Maven Central, such as linux-x86_64 or osx-aarch_64.
MACHINE = $(shell uname -sm | sed -E -e 's/Linux /linux-/' -e 's/Darwin /osx-/' -e 's/(aarch|arm)64/aarch_64/')

# The generated code needs protobuf-java and grpc-java of at least these versions.
.tools/java/.ready: clients/java/client.mk
	@echo "Installing the code generators for Java into .tools"
	@rm -rf $(@D) && mkdir -p $(@D)
	@for artifact in com.google.protobuf:protoc:4.31.1 io.grpc:protoc-gen-grpc-java:1.83.1; do \
	  $(MVN) org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy -Dartifact=$$artifact:exe:$(MACHINE) \
	    -DoutputDirectory=$(CURDIR)/$(@D) -Dmdep.stripVersion -Dmdep.stripClassifier; done
	@cd $(@D) && for tool in *.exe; do mv $$tool $${tool%.exe} && chmod +x $${tool%.exe}; done
	@touch $@

java.check := check-client-java
.PHONY: check-client-java
check-client-java: # Check format, compiler warnings, tests and the example of the Java client
	@cd clients/java && $(MVN) install && $(MVN) --file example compile

java.docs := docs-client-java
.PHONY: docs-client-java
docs-client-java: # Build the Java client's reference pages into build/docs/java
	@cd clients/java && $(MVN) compile javadoc:javadoc
	@rm -rf build/docs/java && mkdir -p build/docs && cp -R clients/java/target/reports/apidocs build/docs/java

# The suite starts a driver for every scenario: use the options that start fastest, and an archive of the loaded classes,
# which halves the time. It needs a class path of JAR files, and is made by a driver that loads what most scenarios load.
JAVA_DRIVER := $(CURDIR)/.tools/java-driver
JAVA_QUICKLY := java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable
JAVA_CLASS_PATH = $(JAVA_DRIVER)/client.jar:$(JAVA_DRIVER)/driver.jar:$$(cat clients/java/target/classpath)
.PHONY: .tools/drivers/java
.tools/drivers/java:
	@mkdir -p $(@D) $(JAVA_DRIVER)
	@cd clients/java && $(MVN) test-compile dependency:build-classpath -Dmdep.outputFile=target/classpath
	@cd clients/java/target && rm -f $(JAVA_DRIVER)/* && jar --create --file $(JAVA_DRIVER)/client.jar -C classes . && \
	  jar --create --file $(JAVA_DRIVER)/driver.jar -C test-classes .
	@printf '#!/bin/sh\nexec $(JAVA_QUICKLY) %s -cp %s %s\n' \
	  -XX:SharedArchiveFile=$(JAVA_DRIVER)/classes.jsa "$(JAVA_CLASS_PATH)" io.github.runsvc.conformance.Driver > $@
	@chmod +x $@
	@printf '%s\n' '{"cmd": "get", "run_id": "r", "timeout_ms": 100}' '{"cmd": "watch", "w": 1, "run_id": "r", "outage_ms": 1}' \
	  '{"cmd": "next", "w": 1}' '{"cmd": "quit"}' | \
	  RUNSVC_TARGET=127.0.0.1:1 $(JAVA_QUICKLY) \
	  -XX:ArchiveClassesAtExit=$(JAVA_DRIVER)/classes.jsa -cp "$(JAVA_CLASS_PATH)" io.github.runsvc.conformance.Driver > $(JAVA_DRIVER)/log

# A Maven repository with the release: pom, classes, sources, javadoc and checksums.
java.dist := dist-java
.PHONY: dist-java
dist-java:
	@echo "Building the Java packages"
	@cd clients/java && $(MVN) --activate-profiles release -DskipTests \
	  -DaltDeploymentRepository=release::file://$(CURDIR)/dist/java clean deploy
