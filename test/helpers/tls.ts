import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** PEM files of a throw-away certificate authority and what it has signed. */
export interface Certificates {
  ca: string
  server: { cert: string; key: string }
  client: { cert: string; key: string }
}

const config = (names: string) => `
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
[leaf]
basicConstraints = CA:false
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = ${names}
`

/**
 * Makes a certificate authority, a certificate for a server on loopback and one for a client; valid
 * for 2 days.
 * @param names - what the certificates name, in the words of openssl
 */
export async function makeCertificates (
  folder: string,
  names = 'IP:127.0.0.1, DNS:localhost'
): Promise<Certificates> {
  const file = (name: string): string => join(folder, name)
  await writeFile(file('openssl.cnf'), config(names))
  const openssl = async (...args: string[]): Promise<unknown> =>
    await promisify(execFile)('openssl', args, { cwd: folder })
  const newKey = [
    '-config',
    'openssl.cnf',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes'
  ]

  await openssl(
    'req',
    '-x509',
    ...newKey,
    '-extensions',
    'ca',
    '-days',
    '2',
    '-subj',
    '/CN=Test CA',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt'
  )
  for (const [index, name] of ['server', 'client'].entries()) {
    await openssl(
      'req',
      '-new',
      ...newKey,
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`
    )
    await openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-days',
      '2',
      '-set_serial',
      String(index + 2),
      '-extfile',
      'openssl.cnf',
      '-extensions',
      'leaf',
      '-out',
      `${name}.crt`
    )
  }
  return {
    ca: file('ca.crt'),
    server: { cert: file('server.crt'), key: file('server.key') },
    client: { cert: file('client.crt'), key: file('client.key') }
  }
}
