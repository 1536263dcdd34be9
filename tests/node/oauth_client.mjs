// An OAuth client of others, oauth4webapi, and verifiers of others, jose and aws-jwt-verify, against a running stack.
//
//     node oauth_client.mjs CONFIG    prints a line for each thing that held; stops at the first that did not
//
// CONFIG is the JSON file that tests/tests/oauth writes. NODE_EXTRA_CA_CERTS names the stack's CA.
import assert from 'node:assert/strict'
import { createPrivateKey, webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import https from 'node:https'

import { JwtVerifier } from 'aws-jwt-verify'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const issuer = new URL(config.url)
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const APPROVAL = 'urn:portcullis:params:oauth:token-type:approval'
const held = (what) => console.log(what)

const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2' })
const server = await oauth.processDiscoveryResponse(issuer, found)
assert.equal(server.issuer, config.url)
held('discovered')

const keySet = createRemoteJWKSet(new URL(server.jwks_uri))
const aws = JwtVerifier.create({ issuer: config.url, audience: config.url, jwksUri: server.jwks_uri })

/** Claims that two verifiers agree about. */
async function verify(token, audience = config.url) {
  const expected = { issuer: config.url, audience, typ: 'at+jwt', algorithms: ['ES256', 'RS256', 'EdDSA'] }
  const { payload } = await jwtVerify(token, keySet, { ...expected, requiredClaims: ['sub', 'jti', 'client_id', 'iat', 'exp'] })
  if (audience === config.url) assert.deepEqual({ ...(await aws.verify(token)) }, { ...payload })
  return payload
}

async function refuses(token) {
  await assert.rejects(jwtVerify(token, keySet, { issuer: config.url, audience: config.url }))
  await assert.rejects(aws.verify(token))
}

const client = (id) => ({ client_id: id })
const secret = (id) => oauth.ClientSecretBasic(config.secrets[id])

async function credentials(id, authentication, parameters = {}, options = {}) {
  const answer = await oauth.clientCredentialsGrantRequest(server, client(id), authentication, parameters, options)
  return oauth.processClientCredentialsResponse(server, client(id), answer)
}

async function refused(promise, status, error) {
  await assert.rejects(promise, (e) => e instanceof oauth.ResponseBodyError && e.status === status && e.error === error)
}

const keyAlgorithms = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  EdDSA: { name: 'Ed25519' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
}

async function privateKey({ alg, kid, pem }) {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' })
  return { kid, key: await webcrypto.subtle.importKey('pkcs8', der, keyAlgorithms[alg], false, ['sign']) }
}

/** A fetch that shows a client certificate, which Node's own cannot. */
function withCertificate(name) {
  const tls = {
    ca: readFileSync(config.ca),
    cert: readFileSync(`${config.certs}/${name}/client.crt`),
    key: readFileSync(`${config.certs}/${name}/client.key`),
  }
  return (url, { method, headers, body }) =>
    new Promise((resolve, reject) => {
      const request = https.request(url, { method, headers: Object.fromEntries(new Headers(headers)), ...tls }, (answer) => {
        const chunks = []
        answer.on('data', (chunk) => chunks.push(chunk))
        answer.on('end', () => resolve(new Response(Buffer.concat(chunks), { status: answer.statusCode, headers: answer.headers })))
      })
      request.on('error', reject)
      request.end(body?.toString())
    })
}

for (const [name, authentication] of [
  ['client_secret_basic', oauth.ClientSecretBasic(config.secrets['svc.analyst'])],
  ['client_secret_post', oauth.ClientSecretPost(config.secrets['svc.analyst'])],
]) {
  const answer = await credentials('svc.analyst', authentication)
  assert.equal((await verify(answer.access_token)).sub, 'svc.analyst')
  held(name)
}
for (const key of config.keys) {
  const answer = await credentials('svc.analyst', oauth.PrivateKeyJwt(await privateKey(key)))
  assert.equal((await verify(answer.access_token)).sub, 'svc.analyst')
  held(`private_key_jwt ${key.alg}`)
}
{
  const shown = { [oauth.customFetch]: withCertificate('memory') }
  const answer = await credentials('svc.memory', oauth.TlsClientAuth(), {}, shown)
  const claims = await verify(answer.access_token)
  assert.equal(claims.cnf['x5t#S256'].length, 43)
  held('tls_client_auth')
}

const signed = new Set()
for (const id of ['svc.analyst', 'svc.optimizer', 'svc.memory']) {
  const { access_token: token } = await credentials(id, secret(id))
  await verify(token)
  signed.add(decodeProtectedHeader(token).alg)
  const [head, claims, signature] = token.split('.')
  const middle = signature.length >> 1
  const changed = signature.slice(0, middle) + (signature[middle] === 'A' ? 'B' : 'A') + signature.slice(middle + 1)
  await refuses(`${head}.${claims}.${changed}`)
  await refuses(`${head}.${claims}.`)
}
assert.deepEqual([...signed].sort(), ['ES256', 'EdDSA', 'RS256'])
held('every signing algorithm')

{
  const narrow = await credentials('svc.analyst', secret('svc.analyst'), { scope: 'read:signals', resource: 'svc.memory' })
  const claims = await verify(narrow.access_token, 'svc.memory')
  assert.deepEqual([claims.scope, claims.aud, narrow.scope], ['read:signals', 'svc.memory', 'read:signals'])
  await refuses(narrow.access_token)
  held('scope and audience')
  await assert.rejects(credentials('svc.analyst', oauth.ClientSecretPost('wrong')), (e) => {
    assert.ok(e instanceof oauth.WWWAuthenticateChallengeError)
    return e.status === 401 && e.cause[0].scheme === 'basic'
  })
  await refused(credentials('svc.analyst', secret('svc.analyst'), { scope: 'execute:external' }), 400, 'invalid_scope')
  await refused(credentials('svc.analyst', secret('svc.analyst'), { resource: 'svc.nobody' }), 400, 'invalid_target')
  held('refusals')
}

async function introspect(id, token) {
  const answer = await oauth.introspectionRequest(server, client(id), secret(id), token)
  return oauth.processIntrospectionResponse(server, client(id), answer)
}

async function revoke(id, token) {
  return oauth.processRevocationResponse(await oauth.revocationRequest(server, client(id), secret(id), token))
}

{
  const { access_token: token } = await credentials('svc.memory', secret('svc.memory'))
  assert.equal((await introspect('svc.memory', token)).sub, 'svc.memory')
  assert.deepEqual(await introspect('svc.bff', token), { active: false })
  held('introspected')
  await refused(revoke('svc.bff', token), 400, 'unauthorized_client')
  await revoke('svc.memory', token)
  let tries = 50
  while ((await introspect('svc.memory', token)).active && tries-- > 0) await new Promise((done) => setTimeout(done, 200))
  assert.ok(tries > 0, 'a revoked token stays active')
  held('revoked')
}
{
  const first = await credentials('svc.bff', secret('svc.bff'))
  const answer = await oauth.refreshTokenGrantRequest(server, client('svc.bff'), secret('svc.bff'), first.refresh_token)
  const second = await oauth.processRefreshTokenResponse(server, client('svc.bff'), answer)
  assert.notEqual(second.refresh_token, first.refresh_token)
  assert.equal((await verify(second.access_token)).sub, 'svc.bff')
  held('refreshed')
}

async function exchange(id, parameters) {
  const answer = await oauth.genericTokenEndpointRequest(server, client(id), secret(id), EXCHANGE, parameters)
  return oauth.processGenericTokenEndpointResponse(server, client(id), answer)
}

{
  const subject = { subject_token: config.user_token, subject_token_type: ACCESS_TOKEN }
  const answer = await exchange('svc.bff', subject)
  const claims = await verify(answer.access_token)
  assert.deepEqual([claims.sub, claims.act.sub, answer.issued_token_type], ['users:ana', 'svc.bff', ACCESS_TOKEN])
  held("a user's token exchanged")
  await refused(exchange('svc.bff', { ...subject, subject_token: config.stranger_token }), 400, 'invalid_request')
  held('tokens that may not be exchanged')
}
{
  const { access_token: approver } = await credentials('svc.enterprise', secret('svc.enterprise'))
  const resource = 'urn:portcullis:plan:42'
  const given = await oauth.genericTokenEndpointRequest(server, client('svc.enterprise'), secret('svc.enterprise'), EXCHANGE, {
    subject_token: approver, subject_token_type: ACCESS_TOKEN, requested_token_type: APPROVAL, resource, audience: 'svc.actuator',
  })
  assert.equal(given.status, 200, await given.clone().text())
  const { access_token: approval } = await given.json()
  const use = { subject_token: approval, subject_token_type: APPROVAL, resource }
  await refused(exchange('svc.actuator', { ...use, resource: 'urn:portcullis:plan:43' }), 400, 'invalid_request')
  const answer = await exchange('svc.actuator', use)
  assert.equal((await verify(answer.access_token)).scope, 'execute:external')
  await refused(exchange('svc.actuator', use), 400, 'invalid_request')
  held('an approval used once')
}
{
  const keys = await oauth.generateKeyPair('ES256')
  const proofs = oauth.DPoP(client('svc.memory'), keys)
  const answer = await credentials('svc.memory', secret('svc.memory'), {}, { DPoP: proofs })
  assert.equal(answer.token_type, 'dpop')
  assert.equal((await verify(answer.access_token)).cnf.jkt, await proofs.calculateThumbprint())
  const url = new URL(`${config.url}/conversations/0f1e2d3c4b5a69788796a5b4c3d2e1f0`)
  const ask = (token, DPoP) => oauth.protectedResourceRequest(token, 'GET', url, undefined, undefined, { DPoP })
  assert.equal((await ask(answer.access_token, proofs)).status, 404, 'let in, and there is no such conversation')
  for (const [label, DPoP] of [['no proof', undefined], ['of another key', oauth.DPoP(client('svc.memory'), await oauth.generateKeyPair('ES256'))]]) {
    await assert.rejects(ask(answer.access_token, DPoP), (e) => e.status === 401, label)
  }
  held('DPoP')
}
{
  const { access_token: token } = await credentials('svc.memory', secret('svc.memory'))
  const request = new Request(`${config.url}/x`, { headers: { authorization: `Bearer ${token}` } })
  const claims = await oauth.validateJwtAccessToken(server, request, config.url)
  assert.equal(claims.client_id, 'svc.memory')
  held('RFC 9068 access token')
}
