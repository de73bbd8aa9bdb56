#!/usr/bin/env bash
# Build the Go module as the Go module proxy would serve it for the tag clients/go/v<version>: a folder for GOPROXY=file://…
# The go command itself reads the module from a temporary repository that stands in for github.com.
#
#   release/go_module.sh 0.2.0 dist/go
set -euo pipefail
cd "$(dirname "$0")/.."

version=v$1
target=$2
module=github.com/runsvc/runsvc/clients/go

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

# The license is part of the module: the go command takes it from the root of the repository.
git init --quiet "$temporary/repository"
mkdir "$temporary/repository/clients"
cp -R clients/go "$temporary/repository/clients/go"
cp LICENSE .gitignore .gitattributes "$temporary/repository"

export GIT_CONFIG_COUNT=4
export GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=runsvc
export GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=runsvc@localhost
export GIT_CONFIG_KEY_2=commit.gpgSign GIT_CONFIG_VALUE_2=false
export GIT_CONFIG_KEY_3=url.file://$temporary/repository.insteadOf GIT_CONFIG_VALUE_3=https://github.com/runsvc/runsvc
git -C "$temporary/repository" add --all
git -C "$temporary/repository" commit --quiet --message "$version"
git -C "$temporary/repository" -c tag.gpgSign=false tag "clients/go/$version"

export GOPROXY=direct GONOSUMDB=$module GOMODCACHE=$temporary/cache GOFLAGS=-modcacherw
(cd "$temporary" && go mod download "$module@$version")

mkdir -p "$target"
cp -R "$temporary/cache/cache/download/github.com" "$target"
cd "$target/$module/@v"
rm -f ./*.lock ./*.ziphash
# The commit of the temporary repository is not the commit of the release.
sed -i.bak 's/,"Origin":.*/}/' "$version.info" && rm "$version.info.bak"
echo "$version" > list
