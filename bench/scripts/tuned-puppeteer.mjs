// A careful script with puppeteer: reads the page's own answers as they come, never sleeps.
import puppeteer from 'puppeteer-core';
import { flags, measure, readAnswers, settings, viewport } from './common.mjs';

await measure({
  name: 'tuned-puppeteer',
  open: () => puppeteer.launch({ executablePath: settings.binary, headless: 'shell', pipe: true, args: flags }),
  job: async (browser, counted) => {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport(viewport);
    const ids = await readAnswers(page);
    counted();
    await context.close();
    return ids;
  },
});
