/** A back-to-back user agent on drachtio that asks before it calls the other side. */
import Srf from 'drachtio-srf'
import { SessionLimits } from './session-limits.mjs'

const { env } = process
const dialogs = new Map()
const limits = new SessionLimits({
  url: env.SESSION_LIMITS_URL ?? 'http://127.0.0.1:3001',
  key: env.SESSION_LIMITS_KEY ?? '',
  node: env.SESSION_LIMITS_NODE ?? 'drachtio',
  away: env.SESSION_LIMITS_AWAY ?? 'pass',
  hangUp: (id) => {
    for (const dialog of dialogs.get(id) ?? []) dialog.destroy().catch(() => {})
  }
})

const srf = new Srf()
srf.on('error', (error) => console.error(`drachtio: ${error.message}`))
srf.connect({
  host: env.DRACHTIO_HOST ?? '127.0.0.1',
  port: Number(env.DRACHTIO_PORT ?? 9022),
  secret: env.DRACHTIO_SECRET ?? 'cymru'
})

// Authenticate the caller before this (drachtio-mw-digest-auth): a challenge of our own takes no
// place, and the user is then the one who authenticated, not who the From header says.
srf.invite(async (req, res) => {
  const caller = Srf.parseUri(req.getParsedHeader('From').uri)
  const call = {
    session_id: req.get('Call-ID'),
    attempt: Number.parseInt(req.get('CSeq'), 10),
    username: caller?.user ?? 'anonymous',
    from: req.getParsedHeader('From').uri,
    to: req.getParsedHeader('To').uri,
    emergency: /^urn:service:sos|^sips?:(?:112|911)@/.test(req.uri)
  }
  const verdict = await limits.admit(call)
  if (!verdict.go) return res.send(verdict.status, verdict.reason)
  await connect(req, res, call)
})

async function connect (req, res, call) {
  try {
    // Rejects when the other side refuses, does not answer, or the caller gives up; the caller has
    // its final answer by then.
    const { uas, uac } = await srf.createB2BUA(req, res, nextHop(req), { localSdpB: req.body })
    dialogs.set(call.session_id, [uas, uac])
    const end = (other) => () => {
      other.destroy().catch(() => {})
      dialogs.delete(call.session_id)
      limits.end(call)
    }
    uas.once('destroy', end(uac))
    uac.once('destroy', end(uas))
  } catch {
    limits.end(call)
  }
}

function nextHop (req) {
  const user = Srf.parseUri(req.uri)?.user ?? '112' // urn:service:sos is no SIP URI
  return `sip:${user}@${env.SIP_NEXT_HOP ?? '127.0.0.1:5080'}`
}
