// A careful script with playwright: reads the page's own answers as they come, never sleeps.
import { chromium } from 'playwright-core';
import { flags, measure, readAnswers, settings, viewport } from './common.mjs';

await measure({
  name: 'tuned-playwright',
  // The sandbox is off by default in playwright.
  open: () => chromium.launch({ executablePath: settings.binary, chromiumSandbox: true, args: flags }),
  job: async (browser, counted) => {
    const context = await browser.newContext({ viewport });
    const page = await context.newPage();
    const ids = await readAnswers(page);
    counted();
    await context.close();
    return ids;
  },
});
