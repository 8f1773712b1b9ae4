const finder = new URL('../../scripts/servers.mjs', import.meta.url)
const { findSipPrograms } = (await import(finder.href)) as {
  findSipPrograms: () => { kamailio: string; sipp: string }
}

/** Paths of Kamailio and SIPp. */
export const programs = findSipPrograms()
