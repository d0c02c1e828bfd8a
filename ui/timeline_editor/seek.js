/* Where a video element is: at a place only when the frame of that place can be drawn. */

const FvdmSeek = (() => {
  const PATIENCE = 30_000; // milliseconds for the video to open or to reach a place
  const DRAWN = 250; // milliseconds that a frame may take from there to where it can be drawn
  const shownTimes = new WeakMap(); // video → the time of the frame that was drawn last

  /** Resolves when `video` fires `name`; rejects when it fails or takes too long. */
  function once(video, name) {
    return new Promise((resolve, reject) => {
      const stop = new AbortController();
      const end = (settle, value) => { stop.abort(); clearTimeout(timer); settle(value); };
      const timer = setTimeout(() => end(reject, new Error("it took too long")), PATIENCE);
      video.addEventListener(name, () => end(resolve), { signal: stop.signal });
      video.addEventListener("error", () => end(reject, new Error("this browser cannot play it")), { signal: stop.signal });
    });
  }

  /** A recording of a browser does not say how long it is: its end tells. */
  async function findEnd(video) {
    const there = once(video, "seeked");
    video.currentTime = 1e7;
    await there;
    if (video.duration === Infinity) throw new Error("it does not say how long it is");
    const back = once(video, "seeked");
    video.currentTime = 0;
    await back;
  }

  /** Resolves when `video` shows its frame at a time. "seeked" may be of the place before, and may
      come before the frame can be drawn, which browsers say where they know: the picture's own time
      is then another one, unless both places lie in one frame. */
  async function seek(video, time) {
    let handle = 0;
    const drawn = new Promise((resolve) => {
      const next = () => { handle = video.requestVideoFrameCallback(look); };
      const look = (_, { mediaTime }) => {
        if (shownTimes.get(video) === mediaTime) return next();
        shownTimes.set(video, mediaTime);
        resolve();
      };
      if (video.requestVideoFrameCallback) next(); else resolve();
    });
    video.currentTime = time;
    do await once(video, "seeked"); while (video.seeking);
    await Promise.race([drawn, new Promise((resolve) => { setTimeout(resolve, DRAWN); })]);
    if (handle) video.cancelVideoFrameCallback(handle);
  }

  return { once, seek, findEnd };
})();

if (typeof module === "object") module.exports = FvdmSeek;
