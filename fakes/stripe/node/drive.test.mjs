// Tests the fake with Stripe's own library for Node.js: a second client, so that the fake does not only satisfy the
// library that the product uses. FAKE_STRIPE is the path of the program.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import Stripe from 'stripe';

const program = process.env.FAKE_STRIPE ?? '../../../target/debug/fake-stripe';
const secret = 'whsec_test';
const received = [];
let server, fake, base, stripe;

const listen = (server) => new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)));

before(async () => {
  server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    received.push({ path: request.url, body: Buffer.concat(parts), signature: request.headers['stripe-signature'] });
    response.end();
  });
  const hooks = `http://127.0.0.1:${await listen(server)}`;
  fake = spawn(program, [
    '--port', '0', '--country', 'DE', '--webhook-secret', secret, '--webhook-url', `${hooks}/platform`,
    '--connect-webhook-url', `${hooks}/connect`,
  ], { stdio: ['ignore', 'pipe', 'inherit'] });
  base = await new Promise((done, failed) => {
    fake.once('error', failed);
    fake.stdout.once('data', (text) => done(String(text).match(/http:\/\/[\d.:]+/)[0]));
  });
  const { hostname, port } = new URL(base);
  stripe = new Stripe('sk_test_drive', { host: hostname, port, protocol: 'http', telemetry: false });
});

after(() => {
  fake?.kill();
  server?.close();
});

async function admin(path, body) {
  const init = body ? { method: 'POST', body: JSON.stringify(body) } : {};
  const response = await fetch(`${base}/_fake/${path}`, init);
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}

async function until(what, found) {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const value = found();
    if (value) return value;
    await new Promise((done) => setTimeout(done, 50));
  }
  return assert.fail(`${what} did not happen`);
}

let customer, method;

test('a customer keeps a card with 3-D Secure', async () => {
  customer = await stripe.customers.create({ email: 'ada@example.org', metadata: { user_id: '7' } });
  assert.equal(customer.object, 'customer');
  const setup = await stripe.setupIntents.create({ customer: customer.id, usage: 'off_session' });
  const asked = await stripe.setupIntents.confirm(setup.id, { payment_method: 'pm_card_authenticationRequiredOnSetup' });
  assert.equal(asked.status, 'requires_action');
  await admin(`setup_intents/${setup.id}/authenticate`, { success: true });
  const done = await stripe.setupIntents.retrieve(setup.id, { expand: ['payment_method'] });
  assert.equal(done.status, 'succeeded');
  assert.equal(done.payment_method.customer, customer.id);
  method = done.payment_method.id;
  const listed = await stripe.customers.listPaymentMethods(customer.id, { type: 'card' });
  assert.deepEqual(listed.data.map((one) => one.id), [method]);
});

test('the card pays without its owner, and is refunded', async () => {
  const intent = await stripe.paymentIntents.create({
    amount: 4200, currency: 'eur', customer: customer.id, payment_method: method, confirm: true, off_session: true,
    metadata: { order_id: 'o-1' }, expand: ['latest_charge.balance_transaction'],
  }, { idempotencyKey: 'pi:o-1:1' });
  assert.equal(intent.status, 'succeeded');
  assert.equal(intent.latest_charge.balance_transaction.amount, 4200);
  const again = await stripe.paymentIntents.create({
    amount: 4200, currency: 'eur', customer: customer.id, payment_method: method, confirm: true, off_session: true,
    metadata: { order_id: 'o-1' }, expand: ['latest_charge.balance_transaction'],
  }, { idempotencyKey: 'pi:o-1:1' });
  assert.equal(again.id, intent.id);
  assert.equal(again.lastResponse.headers['idempotent-replayed'], 'true');
  const found = await stripe.paymentIntents.search({ query: "metadata['order_id']:'o-1'" });
  assert.deepEqual(found.data.map((one) => one.id), [intent.id]);
  const refund = await stripe.refunds.create({ payment_intent: intent.id, amount: 1200 });
  assert.equal(refund.status, 'succeeded');
  const charge = await stripe.charges.retrieve(intent.latest_charge.id);
  assert.equal(charge.amount_refunded, 1200);
});

test('errors are of the classes that the library knows', async () => {
  await assert.rejects(
    stripe.paymentIntents.create({
      amount: 4200, currency: 'eur', payment_method: 'pm_card_chargeDeclinedInsufficientFunds', confirm: true,
    }),
    (error) => error instanceof Stripe.errors.StripeCardError && error.decline_code === 'insufficient_funds'
      && error.payment_intent.status === 'requires_payment_method',
  );
  await assert.rejects(stripe.paymentIntents.retrieve('pi_none'), Stripe.errors.StripeInvalidRequestError);
  await stripe.customers.create({ email: 'a@example.org' }, { idempotencyKey: 'one' });
  await assert.rejects(
    stripe.customers.create({ email: 'b@example.org' }, { idempotencyKey: 'one' }),
    Stripe.errors.StripeIdempotencyError,
  );
});

test('the library repeats a lost answer with its key', async () => {
  const count = async () => (await admin('books')).usd?.captured ?? 0;
  const former = await count();
  await admin('faults', { kind: 'drop_after', path: '/v1/payment_intents', method: 'POST', times: 1 });
  const intent = await stripe.paymentIntents.create({
    amount: 1000, currency: 'usd', payment_method: 'pm_card_visa', confirm: true,
  });
  assert.equal(intent.status, 'succeeded');
  assert.equal(await count(), former + 1000);
});

test('an account is onboarded, paid and reversed', async () => {
  const account = await stripe.accounts.create({
    type: 'express', country: 'FR', capabilities: { card_payments: { requested: true }, transfers: { requested: true } },
  });
  const link = await stripe.accountLinks.create({
    account: account.id, type: 'account_onboarding', refresh_url: 'https://example.org/again',
    return_url: 'https://example.org/back',
  });
  const page = await fetch(link.url, { method: 'POST', redirect: 'manual' });
  assert.equal(page.headers.get('location'), 'https://example.org/back');
  assert.equal((await stripe.accounts.retrieve(account.id)).charges_enabled, true);

  const intent = await stripe.paymentIntents.create({
    amount: 10000, currency: 'eur', payment_method: 'pm_card_visa', confirm: true, application_fee_amount: 1000,
    transfer_data: { destination: account.id }, expand: ['latest_charge.transfer'],
  });
  assert.equal(intent.latest_charge.transfer.destination, account.id);
  await stripe.refunds.create({ payment_intent: intent.id, reverse_transfer: true, refund_application_fee: true });
  const transfer = await stripe.transfers.create({ amount: 500, currency: 'eur', destination: account.id });
  const reversal = await stripe.transfers.createReversal(transfer.id, { amount: 200 });
  assert.equal(reversal.transfer, transfer.id);
  const balance = await stripe.balance.retrieve({}, { stripeAccount: account.id });
  assert.deepEqual(balance.available.map(({ amount, currency }) => [amount, currency]), [[300, 'eur']]);
  const fees = await stripe.applicationFees.list({ limit: 1 });
  assert.equal(fees.data[0].amount_refunded, 1000);
});

test('money for another region settles there or not at all', async () => {
  const account = await stripe.accounts.create({
    type: 'express', country: 'US', capabilities: { card_payments: { requested: true }, transfers: { requested: true } },
  });
  const link = await stripe.accountLinks.create({
    account: account.id, type: 'account_onboarding', refresh_url: 'https://example.org/again',
    return_url: 'https://example.org/back',
  });
  await fetch(link.url, { method: 'POST', redirect: 'manual' });
  const payment = {
    amount: 1000, currency: 'usd', payment_method: 'pm_card_visa', confirm: true, application_fee_amount: 100,
    transfer_data: { destination: account.id },
  };
  await assert.rejects(stripe.paymentIntents.create(payment), /on_behalf_of/);
  const intent = await stripe.paymentIntents.create({ ...payment, on_behalf_of: account.id });
  assert.equal(intent.status, 'succeeded');
});

test('a subscription begins, renews and ends', async () => {
  const product = await stripe.products.create({ name: 'Business' });
  const price = await stripe.prices.create({
    product: product.id, currency: 'usd', unit_amount: 2900, recurring: { interval: 'month' }, lookup_key: 'business',
  });
  const found = await stripe.prices.list({ lookup_keys: ['business'] });
  assert.equal(found.data[0].id, price.id);
  const subscription = await stripe.subscriptions.create({
    customer: customer.id, items: [{ price: price.id }], default_payment_method: method,
    expand: ['latest_invoice.payments'],
  });
  assert.equal(subscription.status, 'active');
  assert.equal(subscription.latest_invoice.payments.data[0].status, 'paid');
  await admin('clock', { advance: 32 * 24 * 3600 });
  const invoices = await stripe.invoices.list({ subscription: subscription.id });
  assert.deepEqual(invoices.data.map((one) => one.billing_reason), ['subscription_cycle', 'subscription_create']);
  assert.equal((await stripe.subscriptions.cancel(subscription.id)).status, 'canceled');
});

test('a dispute is lost', async () => {
  const intent = await stripe.paymentIntents.create({
    amount: 1000, currency: 'usd', payment_method: 'pm_card_createDispute', confirm: true,
  });
  const { data: [dispute] } = await stripe.disputes.list({ payment_intent: intent.id });
  assert.equal(dispute.status, 'needs_response');
  const closed = await stripe.disputes.update(dispute.id, { evidence: { uncategorized_text: 'losing_evidence' } });
  assert.equal(closed.status, 'lost');
});

test('events are signed for their endpoint and can be listed page by page', async () => {
  const onboarded = await until('account.updated', () => received.find(({ path, body }) =>
    path === '/connect' && JSON.parse(body).type === 'account.updated'));
  const paid = await until('payment_intent.succeeded', () => received.find(({ path, body }) =>
    path === '/platform' && JSON.parse(body).type === 'payment_intent.succeeded'));
  for (const { body, signature } of [onboarded, paid]) {
    // The fake's clock has been moved a month ahead since, so the library gets the time of sending.
    const at = Number(signature.match(/t=(\d+)/)[1]);
    const event = stripe.webhooks.constructEvent(body, signature, secret, 300, undefined, at * 1000);
    assert.equal(event.livemode, false);
  }
  const since = { created: { gte: Math.floor(Date.now() / 1000) } };
  let seen = 0;
  for await (const event of stripe.events.list({ limit: 5, ...since })) {
    assert.equal(event.object, 'event');
    seen += 1;
  }
  assert.ok(seen > 5, String(seen));
});

test('the books agree', async () => {
  assert.deepEqual((await admin('audit')).wrong, []);
  for (const books of Object.values(await admin('books'))) assert.equal(books.sum, 0);
});
