// What a PNG of this base64 shows, in figures: its size, how bright it is from 0 to 255, and the
// parts that are nearly white, nearly black, and of one colour exactly.
async (base64, [red, green, blue]) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const pixels = canvas.getImageData(0, 0, width, height).data;
  let [brightness, light, dark, coloured] = [0, 0, 0, 0];
  for (let at = 0; at < pixels.length; at += 4) {
    const [r, g, b] = [pixels[at], pixels[at + 1], pixels[at + 2]];
    brightness += 0.2126 * r + 0.7152 * g + 0.0722 * b;
    light += Math.min(r, g, b) > 170;
    dark += Math.max(r, g, b) < 90;
    coloured += r === red && g === green && b === blue;
  }
  const part = (count) => count / (width * height);
  return {
    width,
    height,
    brightness: part(brightness),
    light: part(light),
    dark: part(dark),
    coloured: part(coloured),
  };
}
