'use strict';
// The sandbox as these programs find it: the names of its world, and its own doors below `/__sandbox`.

const http = require('node:http');
const {FacebookAdsApi} = require('facebook-nodejs-business-sdk');

const BASE = process.env.SANDBOX;

/** The SDK as its own guide has it; that it speaks to the sandbox is the work of the environment. */
function connect(token = exports.TOKEN) {
  return FacebookAdsApi.init(token, 'en_US', false);
}

/** Calls one of the sandbox's own doors and gives its answer as text. */
function control(method, name, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(`${BASE}/__sandbox/${name}`, {method}, answer => {
      const parts = [];
      answer.on('data', part => parts.push(part));
      answer.on('end', () => {
        const text = Buffer.concat(parts).toString();
        if (answer.statusCode === 200) {
          resolve(text);
        } else {
          reject(new Error(`${name}: ${answer.statusCode} ${text}`));
        }
      });
    });
    request.on('error', reject);
    request.end(body === undefined ? '' : JSON.stringify(body));
  });
}

async function lines(name) {
  const text = await control('GET', name);
  return text.split('\n').filter(line => line).map(line => JSON.parse(line));
}

exports.TOKEN = 'sandbox-system-user-token';
exports.APP_ID = '1000000000000001';
exports.APP_SECRET = 'sandbox-app-secret';
exports.ACCOUNT = 'act_1000000000001';
exports.ACCOUNTS = ['act_1000000000001', 'act_1000000000002', 'act_1000000000003'];
exports.DATASET = '2000000000000001';
exports.PAGE = '3000000000000001';
exports.connect = connect;
/** The next call that fits the matcher fails so, once. */
exports.fault = (action, matcher) => control('POST', 'faults', {matcher, action, count: 1});
/** The log of all calls. */
exports.requests = () => lines('requests');
/** The server-side events that the dataset keeps. */
exports.events = () => lines(`events?dataset=${exports.DATASET}`);
/** What exists, by kind. */
exports.world = async () => JSON.parse(await control('GET', 'world'));
