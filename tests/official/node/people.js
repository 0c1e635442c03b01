'use strict';
// People and what they did: audiences filled and emptied, server-side events alone and in batches.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const {
  AdAccount, BatchProcessor, CustomAudience, CustomData, EventRequest, ServerEvent, UserData,
} = require('facebook-nodejs-business-sdk');
const sandbox = require('./sandbox');
const {refused, step, walk} = require('./steps');

const made = {};
const account = () => new AdAccount(sandbox.ACCOUNT);
const hashed = text => crypto.createHash('sha256').update(text).digest('hex');
const members = async () => (await sandbox.world()).customaudiences.find(row => row.id === made.audience).members;

function event(id, name = 'Purchase') {
  const user = new UserData()
    .setEmail('Mary@Example.com')
    .setClientIpAddress('192.0.2.7')
    .setClientUserAgent('Mozilla/5.0');
  return new ServerEvent()
    .setEventName(name)
    .setEventTime(Math.floor(Date.now() / 1000))
    .setEventId(id)
    .setEventSourceUrl('https://shop.example/thanks')
    .setActionSource('website')
    .setUserData(user)
    .setCustomData(new CustomData().setValue(12.9).setCurrency('usd'));
}

const received = async prefix => (await sandbox.events()).map(row => row.event_id).filter(id => id.startsWith(prefix)).sort();

step('an audience is made, filled and emptied again', async () => {
  const audience = await account().createCustomAudience([], {
    name: 'Buyers',
    subtype: CustomAudience.Subtype.custom,
    customer_file_source: CustomAudience.CustomerFileSource.user_provided_only,
  });
  made.audience = audience.id;
  const people = Array.from({length: 5}, (_, number) => hashed(`person${number}@example.org`));
  const added = await new CustomAudience(audience.id).createUser([], {payload: {schema: 'EMAIL_SHA256', data: people}});
  assert.deepEqual([added._data.num_received, added._data.num_invalid_entries], [5, 0]);
  assert.equal(await members(), 5);
  const rows = [[hashed('new@example.org'), hashed('mary')], ['plain', 'text']];
  const many = await new CustomAudience(audience.id).createUser([], {payload: {schema: ['EMAIL', 'FN'], data: rows}});
  assert.deepEqual([many._data.num_received, many._data.num_invalid_entries], [2, 1]);
  const payload = {schema: 'EMAIL_SHA256', data: people.slice(0, 2)};
  await new CustomAudience(audience.id).deleteUsers({payload});
  assert.equal(await members(), 4);
});

step('an audience is read, and a lookalike grows from it', async () => {
  const read = await new CustomAudience(made.audience).get(['name', 'subtype', 'operation_status']);
  assert.deepEqual([read.name, read.subtype], ['Buyers', 'CUSTOM']);
  const like = () => account().createCustomAudience([], {
    name: 'Like buyers',
    subtype: CustomAudience.Subtype.lookalike,
    origin_audience_id: made.audience,
    lookalike_spec: {type: 'similarity', ratio: 0.01, country: 'US'},
  });
  // A lookalike needs a hundred people to grow from.
  await refused(like(), 200, 1870047);
  const people = Array.from({length: 200}, (_, number) => hashed(`more${number}@example.org`));
  await new CustomAudience(made.audience).createUser([], {payload: {schema: 'EMAIL_SHA256', data: people}});
  const lookalike = await like();
  const names = [...(await account().getCustomAudiences(['name']))].map(row => row.name);
  assert.ok(names.includes('Like buyers') && lookalike.id, names.join());
});

step('an event is received, with the proof of the app', async () => {
  const request = new EventRequest(sandbox.TOKEN, sandbox.DATASET, [event('a-1')]).setAppSecret(sandbox.APP_SECRET);
  const answer = await request.execute();
  assert.deepEqual([answer.events_received, answer.messages], [1, []]);
  assert.ok(answer.fbtrace_id);
  const [kept] = await sandbox.events();
  assert.deepEqual([kept.event_id, kept.value, kept.currency.toUpperCase()], ['a-1', '12.9', 'USD']);
});

step('a wrong proof is refused', async () => {
  const request = new EventRequest(sandbox.TOKEN, sandbox.DATASET, [event('b-1')]).setAppSecret('another');
  await refused(request.execute(), 100);
  assert.deepEqual(await received('b-'), []);
});

step('one bad event refuses all', async () => {
  const old = event('c-2').setEventTime(Math.floor(Date.now() / 1000) - 8 * 86400);
  await refused(new EventRequest(sandbox.TOKEN, sandbox.DATASET, [event('c-1'), old]).execute(), 100, 2804003);
  assert.deepEqual(await received('c-'), []);
});

step('many events go in batches at the same time', async () => {
  const ids = Array.from({length: 120}, (_, number) => `d-${String(number).padStart(3, '0')}`);
  const request = new EventRequest(sandbox.TOKEN, sandbox.DATASET);
  await new BatchProcessor(50, 4).processEvents(request, ids.map(id => event(id, 'Lead')));
  assert.deepEqual(await received('d-'), ids);
});

step('many requests go at the same time', async () => {
  const requests = ['e-1', 'e-2', 'e-3'].map(id => new EventRequest(sandbox.TOKEN, sandbox.DATASET, [event(id)]));
  await new BatchProcessor(50, 2).processEventRequests(requests);
  assert.deepEqual(await received('e-'), ['e-1', 'e-2', 'e-3']);
});

sandbox.connect();
walk();
