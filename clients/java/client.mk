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

# The suite starts a driver for every scenario: use the options that start fastest.
.PHONY: .tools/drivers/java
.tools/drivers/java:
	@mkdir -p $(@D)
	@cd clients/java && $(MVN) test-compile dependency:build-classpath -Dmdep.outputFile=target/classpath
	@printf '#!/bin/sh\nexec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp %s io.github.runsvc.conformance.Driver\n' \
	  "$(CURDIR)/clients/java/target/classes:$(CURDIR)/clients/java/target/test-classes:$$(cat clients/java/target/classpath)" > $@
	@chmod +x $@

# A Maven repository with the release: pom, classes, sources, javadoc and checksums.
java.dist := dist-java
.PHONY: dist-java
dist-java:
	@echo "Building the Java packages"
	@cd clients/java && $(MVN) --activate-profiles release -DskipTests \
	  -DaltDeploymentRepository=release::file://$(CURDIR)/dist/java clean deploy
