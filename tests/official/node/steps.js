'use strict';
// Steps in the order in which they are written, one line each on the screen, and what they check with.

const assert = require('node:assert/strict');

const steps = [];

/** Adds a step; its name is what the screen says of it. */
exports.step = (name, work) => steps.push({name, work});

/** Runs all steps and sets how the program ends: with 1 where one failed. */
exports.walk = async () => {
  let failed = 0;
  for (const {name, work} of steps) {
    const began = Date.now();
    try {
      await work();
      console.log(`ok      ${name}  (${((Date.now() - began) / 1000).toFixed(2)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}`);
      console.log(error.stack, error.response ?? '');
    }
  }
  console.log(`${steps.length - failed} passed, ${failed} failed`);
  process.exitCode = failed ? 1 : 0;
};

/** The error of a call that must fail with this code, and this subcode where one is given. */
exports.refused = async (promise, code, subcode) => {
  let answer;
  try {
    answer = await promise;
  } catch (error) {
    const body = error.response;
    assert.ok(body, `no answer: ${error.stack}`);
    assert.deepEqual([body.code, body.error_subcode], [code, subcode ?? body.error_subcode], JSON.stringify(body));
    assert.ok(body.fbtrace_id, JSON.stringify(body));
    return error;
  }
  throw new assert.AssertionError({message: `not refused: ${JSON.stringify(answer)}`});
};
