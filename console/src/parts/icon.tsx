/** Line icons, 16 × 16, in the text's colour. */
const paths = {
  overview: 'M2.5 9.5h3l2-6 2.5 9 1.5-3h2.5',
  topics: 'M2.5 4h11M2.5 8h11M2.5 12h7',
  views: 'M2.5 3.5h4v3h-4zM9.5 9.5h4v3h-4zM6.5 5h2.5a1.5 1.5 0 0 1 1.5 1.5v3',
  sql: 'M3 4.5l3.5 3.5L3 11.5M8 12h5',
  alerts: 'M8 2.5a3.5 3.5 0 0 1 3.5 3.5c0 3 1.5 4 1.5 4.5h-10c0-.5 1.5-1.5 1.5-4.5A3.5 3.5 0 0 1 8 2.5zM6.8 13h2.4',
  groups:
    'M6 7.5a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4zM2 13c0-2.5 1.8-4 4-4s4 1.5 4 4M10.5 3.3a2.2 2.2 0 0 1 0 4M11.5 9.2c1.6.4 2.5 1.8 2.5 3.8',
  connectors: 'M2 8h3.5M10.5 8H14M5.5 5v6h2a3 3 0 0 0 0-6zM10.5 6v4M8 6.5h2.5M8 9.5h2.5',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5l3 3',
  play: 'M5 3.5v9l7-4.5z',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  stop: 'M4.5 4.5h7v7h-7z',
  plus: 'M8 3v10M3 8h10',
  close: 'M4 4l8 8M12 4l-8 8',
  copy: 'M5.5 5.5h7v7h-7zM10.5 3.5h-7v7',
  back: 'M9.5 3.5L5 8l4.5 4.5',
  forward: 'M6.5 3.5L11 8l-4.5 4.5',
  sun: 'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.8v1.4M8 12.8v1.4M1.8 8h1.4M12.8 8h1.4M3.6 3.6l1 1M11.4 11.4l1 1M12.4 3.6l-1 1M4.6 11.4l-1 1',
  moon: 'M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z',
  check: 'M3.5 8.5l3 3 6-7',
  warning: 'M8 2.5l6 10.5H2zM8 6.5v3M8 11.3v.1',
  help: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.3 6.3A1.7 1.7 0 0 1 9.7 6.5c0 1.3-1.7 1.4-1.7 2.7M8 11.2v.1',
  send: 'M2.5 8l11-5-3.5 10.5-2.5-4z',
  trash: 'M3 4.5h10M6 4.5V3h4v1.5M4.5 4.5l.5 8.5h6l.5-8.5',
} as const
export type IconName = keyof typeof paths

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  )
}

/** The mark: a mill wheel in its race. */
export function Wheel() {
  return (
    <svg class="wheel" viewBox="0 0 32 32" aria-hidden="true">
      <g class="wheel-turns">
        <circle cx="16" cy="14" r="8.5" />
        <circle cx="16" cy="14" r="1.6" />
        <path d="M16 2.5v7M16 18.5v7M4.5 14h7M20.5 14h7M7.9 5.9l5 5M19.1 17.1l5 5M24.1 5.9l-5 5M12.9 17.1l-5 5" />
      </g>
      <path class="wheel-water" d="M2 29c3.5-2.5 6-2.5 9 0s6 2.5 9 0 6-2.5 10 0" />
    </svg>
  )
}
