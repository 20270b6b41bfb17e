// A canvas exactly over a video: pixels of the video are its units, whatever the screen's density and the borders are.

export class Overlay {
  // `draw(pen, pixel)` draws in px of a picture of `size`; `pixel` is the length of one px of the page in them.
  constructor(canvas, video, draw) {
    Object.assign(this, { canvas, video, draw, size: null });
    this._pen = canvas.getContext("2d");
    this._watch = new ResizeObserver(() => this.refresh());
    this._watch.observe(canvas);
  }

  refresh() {
    const density = window.devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const pixels = [Math.round(width * density), Math.round(height * density)];
    if (this.canvas.width !== pixels[0]) this.canvas.width = pixels[0];
    if (this.canvas.height !== pixels[1]) this.canvas.height = pixels[1];
    this._pen.setTransform(1, 0, 0, 1, 0, 0);
    this._pen.clearRect(0, 0, ...pixels);
    if (!this.size || !width) return;
    const picture = pictureIn(pixels, this._shape());
    const across = picture.width / this.size.width;
    this._pen.setTransform(across, 0, 0, picture.height / this.size.height, picture.left, picture.top);
    this.draw(this._pen, density / across);
  }

  close() {
    this._watch.disconnect();
  }

  // The video's shape on the screen, which is not the picture's own where its pixels are not square.
  _shape() {
    const { videoWidth: width, videoHeight: height } = this.video;
    return width ? { width, height } : this.size;
  }
}

// Where `object-fit: contain` puts a picture.
const pictureIn = ([width, height], shape) => {
  const scale = Math.min(width / shape.width, height / shape.height);
  const picture = { width: shape.width * scale, height: shape.height * scale };
  return { ...picture, left: (width - picture.width) / 2, top: (height - picture.height) / 2 };
};
