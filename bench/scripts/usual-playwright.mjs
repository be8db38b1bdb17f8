// The usual script with playwright: a context per job, scroll, wait 250 ms, read the page.
import { chromium } from 'playwright-core';
import { flags, measure, readScrolling, settings, viewport } from './common.mjs';

await measure({
  name: 'usual-playwright',
  // The sandbox is off by default in playwright.
  open: () => chromium.launch({ executablePath: settings.binary, chromiumSandbox: true, args: flags }),
  job: async (browser, counted) => {
    const context = await browser.newContext({ viewport });
    const page = await context.newPage();
    const ids = await readScrolling(page);
    counted();
    await context.close();
    return ids;
  },
});
