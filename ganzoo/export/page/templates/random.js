"use strict";
/* Random numbers as torch draws them on a CPU, so that a seed here is that seed there.

   The generator is MT19937 (Matsumoto & Nishimura 1998). torch takes 24 bits of each number for a uniform one, and
   makes normal ones of these by the method of Box & Muller (1958) in blocks of 16; of fewer than 16, one by one
   from 53 bits. */

const SIZE = 624, MIDDLE = 397, BLOCK = 16;

class Twister {
  constructor(seed) {
    this.state = new Uint32Array(SIZE);
    this.state[0] = seed;
    for (let i = 1; i < SIZE; i++) {
      const before = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, before) + i;
    }
    this.place = SIZE;
  }

  renew() {
    for (let i = 0; i < SIZE; i++) {
      const joined = (this.state[i] & 0x80000000) | (this.state[(i + 1) % SIZE] & 0x7fffffff);
      this.state[i] = this.state[(i + MIDDLE) % SIZE] ^ (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
    }
    this.place = 0;
  }

  next() {
    if (this.place === SIZE) this.renew();
    let bits = this.state[this.place++];
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return (bits ^ (bits >>> 18)) >>> 0;
  }

  // in [0, 1), of single and of double precision
  single() { return (this.next() & 0xffffff) / 2 ** 24; }
  double() {
    const high = this.next() & 0x1fffff;
    return (high * 2 ** 32 + this.next()) / 2 ** 53;
  }
}

function uniform(seed, count) {
  const twister = new Twister(seed);
  return Float32Array.from({ length: count }, () => twister.single());
}

function normal(seed, count) {
  const twister = new Twister(seed), values = new Float32Array(count);
  if (count < BLOCK) {
    for (let i = 0; i < count; i += 2) {
      const angle = 2 * Math.PI * twister.double(), length = Math.sqrt(-2 * Math.log1p(-twister.double()));
      values[i] = length * Math.cos(angle);
      if (i + 1 < count) values[i + 1] = length * Math.sin(angle);
    }
    return values;
  }
  const fill = (start, end) => { for (let i = start; i < end; i++) values[i] = twister.single(); };
  fill(0, count);
  for (let i = 0; i + BLOCK <= count; i += BLOCK) pair(values, i);
  if (count % BLOCK) { // what is left over is drawn anew, together with what comes before it
    fill(count - BLOCK, count);
    pair(values, count - BLOCK);
  }
  return values;
}

// the first half of a block gives lengths, the second angles
function pair(values, start) {
  for (let i = start; i < start + BLOCK / 2; i++) {
    const length = Math.sqrt(-2 * Math.log(1 - values[i])), angle = 2 * Math.PI * values[i + BLOCK / 2];
    values[i] = length * Math.cos(angle);
    values[i + BLOCK / 2] = length * Math.sin(angle);
  }
}
