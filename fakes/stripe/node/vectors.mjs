// Writes ../vectors/signatures.json, or the file given as an argument, with Stripe's own library.
//
// `cases` are signatures that a receiver must accept or reject; `signed` are those that a sender must create.
// `npm run vectors` always writes the same bytes.

import { writeFileSync } from 'node:fs';
import Stripe from 'stripe';

const stripe = new Stripe('sk_test_unused');
const now = 1767225600;
const secret = 'whsec_current';
const other = 'whsec_next';
const payload = JSON.stringify({
  id: 'evt_1', object: 'event', type: 'payment_intent.succeeded', livemode: false, created: now,
  data: { object: { id: 'pi_1', object: 'payment_intent', description: 'Ümläut – 日本' } },
});

const header = (options = {}) =>
  stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp: now, ...options });
const v1 = (header) => header.split(',').find((part) => part.startsWith('v1='));

const good = header();
const next = header({ secret: other });
const tampered = payload.replace('pi_1', 'pi_2');
const flipped = good.slice(0, -1) + (good.endsWith('0') ? '1' : '0');
const large = 'x'.repeat(1024);

const cases = [];
const add = (name, accept, header, more = {}) =>
  cases.push({ name, accept, header, secrets: [secret], payload, now, ...more });

add('good', true, good);
add('wrong secret', false, header({ secret: 'whsec_wrong' }));
add('tampered body', false, good, { payload: tampered });
add('one byte less', false, good, { payload: payload.slice(0, -1) });
add('tampered signature', false, flipped);
add('299 s old', true, header({ timestamp: now - 299 }));
add('300 s old', true, header({ timestamp: now - 300 }));
add('301 s old', false, header({ timestamp: now - 301 }));
add('299 s of the future', true, header({ timestamp: now + 299 }));
// Stripe's own library accepts these, but no real request has a time so far in the future.
add('301 s of the future', false, header({ timestamp: now + 301 }));
add('another time than was signed', false, good.replace(`t=${now}`, `t=${now - 1}`));
add('rotated: the current one first', true, `${good},${v1(next)}`);
add('rotated: the next one first', true, `t=${now},${v1(next)},${v1(good)}`);
add('rotated: receiver has both secrets', true, next, { secrets: [secret, other] });
add('rotated: receiver has neither', false, `${good},${v1(next)}`, { secrets: ['whsec_third'] });
add('a wrong one before the right one', true, `t=${now},v1=${'0'.repeat(64)},${v1(good)}`);
add('v0 beside v1', true, `${good},v0=${'0'.repeat(64)}`);
add('v0 only', false, good.replace('v1=', 'v0='));
add('v1 without its value', false, `t=${now},v1=`);
add('no time', false, v1(good));
add('a time that is none', false, good.replace(`t=${now}`, 't=soon'));
add('empty', false, '');
add('garbage', false, 'garbage');
add('commas', false, ',,,=,=');
add('not hexadecimal', false, `t=${now},v1=${'z'.repeat(64)}`);
add('a body of one blank', true, header({ payload: ' ' }), { payload: ' ' });
add('2 MiB', false, stripe.webhooks.generateTestHeaderString({
  payload: large.repeat(2048), secret, timestamp: now,
}), { payload: large, repeat: 2048 });

// Checks the cases with Stripe's library, except those that differ on purpose.
const differs = new Set(['301 s of the future', '2 MiB']);
for (const one of cases) {
  const body = one.payload.repeat(one.repeat ?? 1);
  const accepted = one.secrets.some((secret) => {
    try {
      return stripe.webhooks.signature.verifyHeader(body, one.header, secret, 300, undefined, now * 1000);
    } catch {
      // Usually an error of verification; with an empty signature the library itself fails.
      return false;
    }
  });
  if (accepted !== one.accept && !differs.has(one.name)) {
    throw new Error(`${one.name}: Stripe's library says ${accepted}`);
  }
}

const signed = [payload, '{}', 'é'].map((payload) => ({
  payload, secret, at: now, header: header({ payload }),
}));

const by = `npm stripe ${Stripe.PACKAGE_VERSION}`;
const file = process.argv[2] ?? new URL('../vectors/signatures.json', import.meta.url);
writeFileSync(file, `${JSON.stringify({ by, signed, cases }, null, 2)}\n`);
