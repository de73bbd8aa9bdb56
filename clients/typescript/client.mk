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
check-client-typescript: clients/typescript/node_modules/.ready ## The TypeScript client's own checks: format, lint, types, tests
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
