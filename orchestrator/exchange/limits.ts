/** The limits of the data plane. */

/** Records of one element: what one credit pays for. */
export const BATCH_RECORDS_MAX = 512;
/** Elements of records that a receiver lets one channel have under way: sent, queued or being processed. */
export const CHANNEL_CREDITS = 8;
/** Largest frame that is accepted. */
export const FRAME_BYTES_MAX = 64 * 1024 * 1024;
