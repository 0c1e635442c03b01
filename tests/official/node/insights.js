'use strict';
// Reports, read at once and asked for: their parts add up to the account.

const assert = require('node:assert/strict');
const {AdAccount} = require('facebook-nodejs-business-sdk');
const sandbox = require('./sandbox');
const {refused, step, walk} = require('./steps');

const FIELDS = ['spend', 'impressions', 'clicks'];
const PERIOD = {date_preset: 'last_14d'};
const POLLS_MAX = 10;
const made = {};
const account = () => new AdAccount(sandbox.ACCOUNT);

/** Money in cents, so that sums are exact. */
const cents = row => {
  const [whole, part = ''] = row.spend.split('.');
  return Number(whole + part.padEnd(2, '0'));
};
const sum = (rows, value) => rows.reduce((total, row) => total + value(row), 0);
const totals = rows => [sum(rows, cents), sum(rows, row => Number(row.impressions)), sum(rows, row => Number(row.clicks))];

async function all(cursor) {
  const rows = [...cursor];
  while (cursor.hasNext()) {
    cursor = await cursor.next();
    rows.push(...cursor);
  }
  return rows;
}

step('an account has one row for the period', async () => {
  const rows = await all(await account().getInsights(FIELDS, {...PERIOD}));
  assert.equal(rows.length, 1);
  assert.equal(typeof rows[0].impressions, 'string');
  made.totals = totals(rows);
  assert.ok(made.totals[0] > 0);
});

step('levels, days and breakdowns add up to the account', async () => {
  for (const parts of [{level: 'ad'}, {time_increment: 1}, {breakdowns: ['age', 'gender']}, {breakdowns: 'publisher_platform'}]) {
    const rows = await all(await account().getInsights(FIELDS, {...PERIOD, ...parts, limit: 7}));
    assert.ok(rows.length > 1, JSON.stringify(parts));
    assert.deepEqual(totals(rows), made.totals, JSON.stringify(parts));
  }
});

step('a report is asked for, polled and read', async () => {
  const run = await account().getInsightsAsync(FIELDS, {...PERIOD, level: 'ad', time_increment: 1});
  assert.ok(run.id);
  const seen = [];
  for (let poll = 0; poll < POLLS_MAX && seen.at(-1) !== 'Job Completed'; poll += 1) {
    const read = await run.get(['async_status', 'async_percent_completion']);
    seen.push(read.async_status);
    assert.equal(read.async_percent_completion === 100, read.async_status === 'Job Completed');
  }
  assert.ok(seen.length > 1 && seen.at(-1) === 'Job Completed', seen.join());
  const rows = await all(await run.getInsights([], {limit: 20}));
  assert.deepEqual(totals(rows), made.totals);
});

step('an impossible question is refused', async () => {
  await refused(account().getInsights(['no_such_metric'], {...PERIOD}), 100);
  await refused(account().getInsights(FIELDS, {time_range: {since: '2019-01-01', until: '2019-01-31'}}), 3018);
});

sandbox.connect();
walk();
