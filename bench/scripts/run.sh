#!/bin/bash
# run.sh OUT: the same job as ordinary scripts, with puppeteer and playwright, at AT_ONCE ("1 4 8")
# jobs at once. Needs node, npm and the package registry; says so and stops when they are missing.
#
# usual: a context per job, scroll nine tenths of the window, wait 250 ms, read the page.
# tuned: the page's own answers are read as they come, and each asks for the next.
# Both packages go into a temporary folder. As root everything runs as nobody, so that the browser
# has its sandbox. What a script read is compared with what the site says is there.
OUT=$1
. "$(dirname "$0")/../lib.sh"
SCRIPTS=${SCRIPTS:-usual-puppeteer tuned-puppeteer usual-playwright tuned-playwright}
AT_ONCE=${AT_ONCE:-1 4 8}
HERE=$(cd "$(dirname "$0")" && pwd)

NODE=$(command -v node)
if [ -z "$NODE" ] || ! command -v npm >/dev/null; then
    say "skipped: node and npm are not installed"
    exit 0
fi
mkdir "$WORK/scripts" "$WORK/home"
chmod 777 "$WORK/home"
cp "$HERE"/*.mjs "$HERE/package.json" "$WORK/scripts"
(cd "$WORK/scripts" && timeout 300 npm install --no-package-lock --ignore-scripts --no-audit --no-fund) \
    >"$WORK/npm.log" 2>&1 || {
    tail -5 "$WORK/npm.log"
    say "skipped: the packages could not be installed"
    exit 0
}

as_nobody=()
[ "$(id -u)" -eq 0 ] && as_nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups)

start_site
curl -sS "$SITE/truth/posts/$HANDLE?limit=$POSTS" >"$WORK/truth"
jq -r .id "$WORK/truth" | sort >"$WORK/truth.tuned"
# The page shows the original of a repost.
jq -r '.reposted.id // .id' "$WORK/truth" | sort >"$WORK/truth.usual"

say "puppeteer-core $(jq -r .version "$WORK/scripts/node_modules/puppeteer-core/package.json")," \
    "playwright-core $(jq -r .version "$WORK/scripts/node_modules/playwright-core/package.json"), node $("$NODE" --version)"
for at_once in $AT_ONCE; do
    jobs=${JOBS:-$((at_once < 2 ? 8 : at_once * 4))}
    for script in $SCRIPTS; do
        (cd "$WORK/scripts" && exec timeout 900 "${as_nobody[@]}" env -i PATH=/usr/bin:/bin HOME="$WORK/home" \
            TMPDIR="$WORK/home" SITE="$SITE" HANDLE="$HANDLE" POSTS="$POSTS" JOBS="$jobs" AT_ONCE="$at_once" \
            CHROMIUM="$CHROMIUM" IDS="$WORK/home/ids" "$NODE" "$script.mjs") || die "$script failed"
        sort "$WORK/home/ids" | cmp -s - "$WORK/truth.${script%%-*}" || die "$script did not read the posts that are there"
        rm -f "$WORK/home/ids"
    done
done
