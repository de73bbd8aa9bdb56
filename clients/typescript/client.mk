CLIENTS += typescript
typescript.needs := Node.js 20.9 or newer, with npm
typescript.present := npm --version && node --eval 'const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 9) ? 0 : 1)'
typescript.generated := clients/typescript/src/gen
typescript.generators := clients/typescript/node_modules/.ready

clients/typescript/node_modules/.ready: clients/typescript/package-lock.json
	@echo "Installing the packages of the TypeScript client into $(@D)"
	@cd clients/typescript && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

typescript.check := check-client-typescript
.PHONY: check-client-typescript
check-client-typescript: clients/typescript/node_modules/.ready ## Check the TypeScript client: format, lint, types, tests, the examples of the README
	@cd clients/typescript && npm run --silent check && npm test --silent

# Compiles into an empty folder. The output of deleted modules would otherwise be part of the package.
typescript.dist := dist-typescript
.PHONY: dist-typescript
dist-typescript: clients/typescript/node_modules/.ready
	@echo "Building the npm package"
	@mkdir -p dist/typescript && rm -rf clients/typescript/dist
	@cd clients/typescript && npm pack --silent --pack-destination $(CURDIR)/dist/typescript > /dev/null

.PHONY: .tools/drivers/typescript
.tools/drivers/typescript: clients/typescript/node_modules/.ready
	@cd clients/typescript && npm run --silent build
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec node --expose-gc clients/typescript/dist/conformance/driver.js\n' > $@
	@chmod +x $@

typescript.docs := docs-typescript
.PHONY: docs-typescript
docs-typescript: clients/typescript/node_modules/.ready .tools/typedoc/.ready ## Build the reference pages of the TypeScript client in build/docs/typescript
	@.tools/typedoc/node_modules/.bin/typedoc --options clients/typescript/docs/typedoc.json --logLevel Warn

.tools/typedoc/.ready: clients/typescript/docs/package-lock.json
	@echo "Installing typedoc into $(@D)"
	@mkdir -p $(@D) && cp clients/typescript/docs/package.json clients/typescript/docs/package-lock.json $(@D)
	@cd $(@D) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
