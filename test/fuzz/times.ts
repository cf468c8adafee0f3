/** 2024-03-01 10:00 UTC: when everything begins. */
export const startUs = Date.UTC(2024, 2, 1, 10) * 1000
/** Between two changes of a dataset, as their records say. */
export const versionMs = 20_000
