// The usual script with puppeteer: a context per job, scroll, wait 250 ms, read the page.
import puppeteer from 'puppeteer-core';
import { flags, measure, readScrolling, settings, viewport } from './common.mjs';

await measure({
  name: 'usual-puppeteer',
  open: () => puppeteer.launch({ executablePath: settings.binary, headless: 'shell', args: flags }),
  job: async (browser, counted) => {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport(viewport);
    const ids = await readScrolling(page);
    counted();
    await context.close();
    return ids;
  },
});
