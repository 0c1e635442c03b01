'use strict';
// From a campaign to an ad: made, read, changed, listed, in batches and alone, refused, deleted.

const assert = require('node:assert/strict');
const zlib = require('node:zlib');
const {
  AdAccount, Ad, AdCreative, AdSet, AdVideo, APIRequest, Campaign, FacebookAdsApi, FacebookAdsApiBatch, User,
} = require('facebook-nodejs-business-sdk');
const sandbox = require('./sandbox');
const {refused, step, walk} = require('./steps');

const made = {};
const account = () => new AdAccount(sandbox.ACCOUNT);
const campaignOf = name => ({
  name,
  objective: Campaign.Objective.outcome_traffic,
  status: Campaign.Status.paused,
  special_ad_categories: [],
  is_adset_budget_sharing_enabled: false,
});

/** All rows of a cursor, page by page. */
async function all(cursor) {
  const rows = [...cursor];
  while (cursor.hasNext()) {
    cursor = await cursor.next();
    rows.push(...cursor);
  }
  return rows;
}

/** A real picture of one colour. */
function png(width, height) {
  const chunk = (kind, body) => {
    const named = Buffer.concat([Buffer.from(kind), body]);
    const whole = Buffer.alloc(8 + named.length);
    whole.writeUInt32BE(body.length, 0);
    named.copy(whole, 4);
    whole.writeUInt32BE(crc(named), 4 + named.length);
    return whole;
  };
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const rows = Buffer.alloc((width + 1) * height);
  const start = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [chunk('IHDR', header), chunk('IDAT', zlib.deflateSync(rows)), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([start, ...parts]);
}

function crc(bytes) {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit += 1) {
      value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
    }
  }
  return ~value >>> 0;
}

step('the person and all ad accounts are found', async () => {
  const me = await new User('me').get(['id', 'name']);
  assert.equal(me.name, 'Sandbox System User');
  const accounts = await new User('me').getAdAccounts(['id', 'currency']);
  const currencies = Object.fromEntries(accounts.map(row => [row.id, row.currency]));
  assert.deepEqual(currencies, Object.fromEntries(sandbox.ACCOUNTS.map((id, at) => [id, ['USD', 'EUR', 'JPY'][at]])));
});

step('an account keeps its prefix when it is read', async () => {
  const read = await account().get(['name', 'currency', 'account_status']);
  assert.deepEqual([read.id, read.currency, read.account_status], [sandbox.ACCOUNT, 'USD', 1]);
});

step('an image is uploaded by its bytes', async () => {
  const image = await account().createAdImage([], {bytes: png(600, 600).toString('base64')});
  const entry = image._data.images.bytes;
  assert.deepEqual([entry.hash.length, entry.width, entry.height], [32, 600, 600]);
  made.hash = entry.hash;
});

step('an upload of nothing, which the SDK makes of a file stream, is refused and no more', async () => {
  await refused(account().createAdImage([], {}), 100);
});

step('a campaign, an ad set, a creative and an ad are made and read back', async () => {
  const campaign = await account().createCampaign(['name'], campaignOf('Sommer: Größe'));
  assert.equal(campaign.name, 'Sommer: Größe');
  made.campaign = campaign.id;
  const set = await account().createAdSet([], {
    name: 'Hikers',
    campaign_id: campaign.id,
    daily_budget: 4000,
    billing_event: AdSet.BillingEvent.impressions,
    optimization_goal: AdSet.OptimizationGoal.link_clicks,
    targeting: {geo_locations: {countries: ['US']}, targeting_automation: {advantage_audience: 0}},
    status: AdSet.Status.paused,
  });
  const link = {link: 'https://shop.example', message: 'm', image_hash: made.hash};
  const creative = await account().createAdCreative([], {
    name: 'Look',
    object_story_spec: {page_id: sandbox.PAGE, link_data: link},
  });
  const ad = await account().createAd([], {
    name: 'Look',
    adset_id: set.id,
    creative: {creative_id: creative.id},
    status: Ad.Status.paused,
  });
  const read = await new Ad(ad.id).get(['name', 'effective_status', 'adset{id,name,daily_budget}', 'creative{id}']);
  assert.deepEqual([read.name, read.adset.name, read.adset.daily_budget], ['Look', 'Hikers', '4000']);
  assert.equal(read.creative.id, creative.id);
  const looked = await new AdCreative(creative.id).get(['image_hash', 'object_story_spec']);
  assert.equal(looked.image_hash, made.hash);
  Object.assign(made, {set: set.id, ad: ad.id});
});

step('a video comes from an address and becomes ready', async () => {
  const video = await account().createAdVideo([], {file_url: 'https://shop.example/film.mp4', name: 'Film'});
  const states = [];
  for (let look = 0; look < 5 && states.at(-1) !== 'ready'; look += 1) {
    states.push((await new AdVideo(video.id).read(['status'])).status.video_status);
  }
  assert.deepEqual([states[0], states.at(-1)], ['processing', 'ready']);
});

step('a campaign is changed in place', async () => {
  await new Campaign(made.campaign, {name: 'Sommer'}).update();
  assert.equal((await new Campaign(made.campaign).get(['name'])).name, 'Sommer');
});

step('a list is read to its end along the links', async () => {
  for (let number = 0; number < 12; number += 1) {
    await new AdAccount(sandbox.ACCOUNTS[1]).createCampaign([], campaignOf(`Row ${number}`));
  }
  const cursor = await new AdAccount(sandbox.ACCOUNTS[1]).getCampaigns(['name'], {limit: 5, summary: true});
  assert.equal(cursor.summary.total_count, 12);
  const names = (await all(cursor)).map(row => row.name);
  assert.deepEqual(names.sort(), Array.from({length: 12}, (_, number) => `Row ${number}`).sort());
  const first = await new AdAccount(sandbox.ACCOUNTS[1]).getCampaigns(['name'], {limit: 5});
  const told = [...first].map(row => row.name);
  const second = await first.next();
  assert.ok(second.hasPrevious());
  const back = await second.previous();
  assert.deepEqual([...back].map(row => row.name), told);
});

step('an empty list is an empty list', async () => {
  const ads = await new AdAccount(sandbox.ACCOUNTS[2]).getAds(['name']);
  assert.deepEqual([ads.length, ads.hasNext()], [0, false]);
});

step('many calls are one batch, and a name that is only a name changes nothing', async () => {
  const batch = new FacebookAdsApiBatch(FacebookAdsApi.getDefaultApi());
  const answers = [];
  const errors = [];
  const add = request => batch.addRequest(request, answer => answers.push(answer.body), answer => errors.push(answer.error));
  for (const name of ['Batch one', 'Batch two']) {
    add(new APIRequest(sandbox.ACCOUNT, 'POST', '/campaigns').addParams(campaignOf(name)));
  }
  add(new APIRequest(made.campaign, 'GET', '').addField('name'));
  add(new APIRequest('1', 'GET', '').addField('name'));
  assert.equal(await batch.execute(), null);
  assert.deepEqual([answers.length, errors.length], [3, 1]);
  assert.equal(answers[2].name, 'Sommer');
  assert.equal(errors[0].status, 400);
  const names = (await sandbox.world()).campaigns.map(row => row.name);
  assert.deepEqual(names.filter(name => name.startsWith('Batch')).sort(), ['Batch one', 'Batch two']);
});

step('an item without an answer comes back as a batch', async () => {
  await sandbox.fault('drop', {method: 'POST', path: 'campaigns', nth: 2});
  const batch = new FacebookAdsApiBatch(FacebookAdsApi.getDefaultApi());
  const answers = [];
  for (const name of ['Again one', 'Again two']) {
    const request = new APIRequest(sandbox.ACCOUNT, 'POST', '/campaigns').addParams(campaignOf(name));
    batch.addRequest(request, answer => answers.push(answer.body.id));
  }
  const again = await batch.execute();
  assert.deepEqual([again._batch.length, answers.length], [1, 1]);
  assert.equal(await again.execute(), null);
  assert.equal(answers.length, 2);
});

step('an error has code, subcode, blame and words for people', async () => {
  const small = {...campaignOf('Small'), daily_budget: 1};
  delete small.is_adset_budget_sharing_enabled;
  const {response, status, message} = await refused(account().createCampaign([], small), 100, 1885272);
  assert.equal(status, 400);
  assert.equal(message, response.message);
  const data = typeof response.error_data === 'string' ? JSON.parse(response.error_data) : response.error_data;
  assert.deepEqual(data.blame_field_specs, [['daily_budget']]);
  assert.ok(response.error_user_title && response.error_user_msg);
  assert.equal(response.is_transient, false);
  await refused(new Campaign('1').get(['name']), 100, 33);
});

step('a token that nobody gave is refused', async () => {
  sandbox.connect('EAAnobody');
  await refused(account().get(['name']), 190);
  sandbox.connect();
});

step('what is deleted leaves the lists', async () => {
  await new Ad(made.ad).delete();
  assert.equal((await new AdSet(made.set).getAds(['id'])).length, 0);
  await new Campaign(made.campaign).delete();
  const left = await all(await account().getCampaigns(['id']));
  assert.ok(!left.some(row => row.id === made.campaign));
});

sandbox.connect();
walk();
