#version 330
// Fourteen places. `place` is the number in places.PLACES; `hour` 0 day, 1 sunset, 2 night.
in vec2 q;
layout(location = 0) out vec4 O;
uniform int place;
uniform float seed, hour, horizon, zoom;
uniform vec3 accent;
//NOISE
vec3 daylight() { return hour < .5 ? vec3(1) : hour < 1.5 ? vec3(1.0, .72, .55) : vec3(.16, .19, .32); }
vec3 sky_colour(float y) {
  vec3 low, high;
  if (hour < .5)       { low = vec3(.72, .84, .95); high = vec3(.22, .47, .85); }
  else if (hour < 1.5) { low = vec3(.98, .62, .32); high = vec3(.28, .30, .58); }
  else                 { low = vec3(.09, .11, .22); high = vec3(.01, .015, .05); }
  return mix(low, high, smoothstep(0., .75, y));
}
vec3 sky(vec2 p) {
  vec3 c = sky_colour(p.y);
  if (hour < 1.5) {
    float cloud = smoothstep(.5, .8, fbm(vec2(p.x * 2. + seed * 9., p.y * 5.)));
    return mix(c, hour < .5 ? vec3(1) : vec3(1, .75, .6), cloud * .7);
  }
  return c + step(.985, hash(floor(p * 60.) + seed)) * .7;
}
vec3 sun(vec3 c, vec2 z) {
  if (hour < .5 || hour > 1.5) return c;
  float d = length(vec2(q.x - .35, z.y - .12));
  return c + vec3(1, .7, .3) * smoothstep(.1, .07, d) + vec3(.6, .25, .05) * exp(-d * 4.);
}
vec3 wood(vec2 z) { return vec3(.45, .29, .17) * (.75 + .5 * fbm(z * vec2(3, 40))); }
vec3 studio(vec2 z) { return accent * (1.05 - .55 * length(q - vec2(.1, .3))); }
vec3 sea(vec2 z) {
  float w = fbm(vec2(z.x * 3., z.y * 60.));
  return mix(vec3(.05, .32, .45), vec3(.25, .62, .66), -z.y * 4.5) * daylight() + w * w * .35 * daylight();
}
vec3 beach(vec2 z) {
  vec3 c, lt = daylight();
  if (z.y > 0.) c = sun(sky(z), z);
  else if (z.y > -.22) {
    c = sea(z);
    float foam = smoothstep(.03, .0, abs(z.y + .2 + .02 * sin(z.x * 9.)));
    c = mix(c, vec3(.95) * lt, foam * .8);
  } else c = vec3(.86, .74, .55) * lt * (.8 + .3 * fbm(z * vec2(6, 30)));
  vec2 b = z - vec2(seed * 3. * zoom + .75 * (seed > .5 ? 1. : -1.), 0.);   // a palm
  if (abs(b.x - .06 * sin(b.y * 3.)) < .022 && b.y > -.25 && b.y < .62)
    c = vec3(.34, .24, .15) * lt * (.7 + .4 * value_noise(vec2(1., b.y * 50.)));
  vec2 e = b - vec2(.06, .62);
  float r = length(e), leaf = abs(sin(atan(e.y, e.x) * 3.5 + r * 1.2));
  if (r < .36 * (.4 + .6 * leaf) && leaf > .35 && e.y > -.25)
    c = vec3(.12, .36, .12) * lt * (.6 + .6 * value_noise(e * 40.));
  return c;
}
vec3 forest(vec2 z) {
  vec3 lt = daylight();
  vec3 c = mix(vec3(.72, .85, .62), vec3(.35, .55, .3), clamp(z.y * .9, 0., 1.)) * lt * (.7 + .6 * fbm(z * 6.));
  for (int k = 0; k < 4; k++) {
    float d = 1. - float(k) * .22, w = .05 + .05 * float(k);
    float x = z.x * (1.6 - .25 * float(k)) + float(k) * 7.3 + seed * 31., i = floor(x / .42);
    float f = fract(x / .42) - .5 + .25 * (hash(vec2(i, float(k))) - .5);
    if (abs(f) < w * (.6 + .7 * hash(vec2(i, 3.))) && hash(vec2(i, float(k) + 9.)) > .25)
      c = mix(vec3(.30, .22, .15), vec3(.55, .65, .5), d * .75) * lt
          * (.55 + .7 * value_noise(vec2(f * 60., z.y * 9.))) * (1. - .9 * abs(f) / w * .5);
    float leaf = fbm(z * (5. + 3. * float(k)) + float(k) * 11. + seed * 9.);
    if (leaf + z.y * .35 > .82)
      c = mix(vec3(.10, .30, .08), vec3(.42, .62, .22), value_noise(z * 30.)) * lt * (1. - .2 * d);
  }
  if (z.y < -.12) c = mix(vec3(.18, .32, .10), vec3(.45, .42, .2), fbm(z * vec2(8, 30))) * lt;
  return c;
}
vec3 kitchen(vec2 z) {
  vec3 c = vec3(.93, .90, .84);
  vec2 tile = fract(z * vec2(7, 9) + vec2(.5 * floor(mod(z.y * 9., 2.)), 0.));
  if (z.y < .28) c = mix(vec3(.75), mix(vec3(.88, .93, .93), accent, .35), step(.05, tile.x) * step(.07, tile.y));
  if (z.y > .28 && z.y < .85) {                                   // cupboards
    vec2 f = vec2(fract(z.x * 2.2), (z.y - .28) / .57);
    c = mix(accent * .9, vec3(.95), .25);
    if (f.x < .03 || f.x > .97 || f.y < .03) c *= .55;
    vec2 g = abs(f - .5);
    if (max(g.x - .36, g.y - .36) > 0. && max(g.x - .38, g.y - .38) < 0.) c *= .8;
    if (length(f - vec2(.88, .12)) < .03) c = vec3(.75);
  }
  if (z.y < -.18) {                                               // counter
    c = mix(vec3(.45, .30, .2), vec3(.62, .45, .3), fbm(z * vec2(3, 30)));
    float f = fract(z.x * 1.7);
    if (z.y < -.25) {
      c = mix(accent * .8, vec3(.9), .15);
      if (f < .02) c *= .5;
      if (abs(z.y + .32) < .012 && abs(f - .5) < .15) c = vec3(.7);
    }
  }
  float x = abs(fract(z.x * 1.1 + seed) - .5);                    // lamps
  if (z.y > .15 && x < .1 + .3 * (.28 - z.y) && z.y < .33)
    c = mix(vec3(.9, .6, .2), vec3(1., .95, .8), smoothstep(.33, .15, z.y));
  if (z.y < -.05 && z.y > -.18) {                                 // jars
    float j = fract(z.x * 3. + seed * 7.), i = floor(z.x * 3. + seed * 7.);
    if (abs(j - .5) < .16 * (hash(vec2(i, 5.)) + .4) && z.y < -.15 + hash(vec2(i, 2.)) * .13)
      c = mix(vec3(.7, .2, .15), vec3(.2, .45, .5), hash(vec2(i, 7.))) * (.7 + .5 * j);
  }
  return c;
}
vec3 street(vec2 z) {
  vec3 c = hour < 1.5 ? sky(z) : mix(vec3(.10, .10, .20), vec3(.02, .02, .06), z.y), lt = daylight();
  for (int k = 0; k < 3; k++) {
    float s = 1.2 + float(2 - k) * .9, x = z.x * s * 1.6 + float(k) * 5.1 + seed * 20., i = floor(x);
    float top = (.25 + .75 * hash(vec2(i, float(k)))) * (.9 - .15 * float(k));
    if (z.y < top && z.y > -.2) {
      c = mix(vec3(.45, .42, .40), vec3(.62, .5, .42), hash(vec2(i, 4.))) * lt * (.45 + .2 * float(k));
      vec2 g = vec2(fract(x) * 5., z.y * 14. * (1. + .2 * float(2 - k))), gi = floor(g), gf = fract(g);
      if (gf.x > .25 && gf.x < .75 && gf.y > .3 && gf.y < .8) {
        float on = hash(gi + vec2(i * 7., float(k) * 3.));
        vec3 lamp = mix(vec3(1., .8, .4), vec3(.7, .85, 1.), hash(gi + 3.)) * (.6 + .6 * on);
        c = hour > 1.5 ? (on > .45 ? lamp : vec3(.04)) : vec3(.35, .45, .55) * lt * (.6 + .5 * on);
      }
    }
  }
  if (z.y < -.2) {
    c = vec3(.22, .22, .24) * lt;
    if (hour > 1.5) c += vec3(.5, .35, .2) * pow(fbm(vec2(z.x * 6., z.y * 1.5)), 3.) * 1.5;
    else if (abs(fract(z.x * 1.2) - .5) < .03) c = vec3(.8) * lt;
  }
  if (hour > .5)
    for (int k = 0; k < 10; k++) {                                // lights out of focus
      vec2 o = vec2(hash(vec2(float(k), seed)) * 2.4 - 1.2, hash(vec2(float(k) + .5, seed + 1.)) * .5 - .22);
      float d = length(vec2(q.x, q.y - horizon) - o), r = .04 + .04 * hash(vec2(float(k), 9.));
      vec3 b = mix(vec3(1., .55, .15), k % 3 == 0 ? vec3(.9, .15, .15) : vec3(.2, .7, .9), float(k % 2));
      c += smoothstep(r, r * .85, d) * b * .5;
    }
  return c;
}
vec3 books(vec2 z, float shelf) {
  float r = floor((z.y + 10.) / shelf), fy = fract((z.y + 10.) / shelf);
  float x = z.x * 13. + hash(vec2(r, seed)) * 30., i = floor(x + .3 * sin(x * 1.7)), fx = fract(x + .3 * sin(x * 1.7));
  float top = .62 + .28 * hash(vec2(i, r));
  vec3 spine = .5 + .5 * cos(6.28 * (hash(vec2(i, r + 7.)) * vec3(.7, .8, .9) + vec3(0., .25, .45)));
  spine = mix(spine * vec3(.75, .45, .38), spine * .6, hash(vec2(i, r + 2.)));
  if (fy < .09) return vec3(.42, .26, .14) * (.8 + .4 * fbm(z * vec2(4, 60)));
  if (fy > top) return vec3(.12, .075, .05);
  spine *= .55 + .5 * sin(fx * 3.14);
  return abs(fy - top * .8) < .02 || abs(fy - .2) < .012 ? mix(spine, vec3(.85, .7, .3), .7) : spine;
}
vec3 library(vec2 z) {
  vec3 c = books(z, .30);
  if (fract(z.x * .55 + .3 + seed) < .045) c = vec3(.45, .28, .15) * (.8 + .4 * value_noise(vec2(z.x * 90., z.y * 4.)));
  return c * vec3(1., .88, .7) * 1.05;
}
vec3 mountains(vec2 z) {
  vec3 c = sky(z), lt = daylight();
  for (int k = 0; k < 3; k++) {
    float s = 1. + float(k) * .8;
    float r = .42 - .17 * float(k) + .34 * (fbm(vec2(z.x * s * 1.3 + float(k) * 9. + seed * 17., 1.)) - .45)
              + .05 * fbm(vec2(z.x * 9. * s, 4.));
    if (z.y < r) {
      float snow = smoothstep(.42, .6, fbm(vec2(z.x * 9. * s + z.y * 7., z.y * 8.)) + .35 * (z.y - r + .25));
      vec3 rock = mix(vec3(.38, .42, .5), vec3(.28, .28, .32), float(k) * .5);
      c = mix(mix(vec3(.93, .96, 1.), rock, snow), sky_colour(.1), .35 - .17 * float(k)) * mix(lt, vec3(1), .15);
    }
  }
  if (z.y < -.18) c = mix(vec3(.82, .88, .97), vec3(.98), fbm(z * vec2(3, 9))) * lt;
  float x = z.x * 6. + seed * 9., i = floor(x), f = abs(fract(x) - .5), top = hash(vec2(i, 1.)) * .2 - .08;
  if (hash(vec2(i, 8.)) > .45 && z.y > -.22 && z.y < top && f < (top - z.y) * 1.1 * (.6 + .4 * fract(z.y * 22.)))
    c = mix(vec3(.08, .20, .15), vec3(.9), step(.72, fract(z.y * 22.)) * .7) * lt;
  return c;
}
vec3 meadow(vec2 z) {
  vec3 c, lt = daylight();
  if (z.y > 0.) {
    c = sun(sky(z), z);
    float top = .16 + .22 * fbm(vec2((z.x * 1.5 + seed * 9.) * 1.6, 2.));
    if (z.y < top) c = mix(vec3(.12, .30, .10), vec3(.36, .55, .2), fbm(z * 14.)) * lt;
    return c;
  }
  c = mix(vec3(.25, .50, .15), vec3(.5, .68, .25), fbm(z * vec2(4, 24))) * lt;
  float r = hash(floor(z * vec2(34, 60)) + seed);
  if (r > .95) c = (r > .985 ? vec3(.9, .3, .4) : r > .97 ? vec3(.95, .85, .3) : vec3(.95)) * lt;
  return c;
}
vec3 desert(vec2 z) {
  vec3 c = sun(sky(z), z);
  for (int k = 0; k < 3; k++) {
    float r = .10 - .13 * float(k) + .10 * sin(z.x * (1.3 + float(k)) + seed * 20. + float(k) * 2.);
    if (z.y < r)
      c = mix(vec3(.86, .58, .33), vec3(.75, .42, .22), .5 + .5 * sin(z.x * 3. + z.y * 9. + float(k))) * daylight()
          * (.85 + .25 * fbm(vec2(z.x * 4., z.y * 50.)));
  }
  return c;
}
vec3 window(vec3 c, vec2 f) {
  if (abs(f.x) >= .42 || abs(f.y) >= .36) return c;
  bool glass = abs(f.x) < .39 && abs(f.y) < .33 && abs(f.x) > .02 && abs(f.y - .02) > .015;
  return glass ? sky(f * .8 + .2) : vec3(.95);
}
vec3 living_room(vec2 z) {
  float side = seed > .5 ? 1. : -1.;
  vec3 c = mix(accent, vec3(.9), .45);
  if (z.y < -.22) c = vec3(.55, .4, .28) * (.7 + .5 * fbm(z * vec2(30, 3)));
  c = window(c, vec2(z.x - seed * 3. * zoom + .55 * side, z.y - .28));
  vec2 g = vec2(z.x - seed * 3. * zoom - .62 * side, z.y - .34);        // a painting above a sofa
  if (abs(g.x) < .2 && abs(g.y) < .15) {
    c = vec3(.15);
    if (abs(g.x) < .18 && abs(g.y) < .13) c = .5 + .5 * cos(vec3(0, 2, 4) + 6. * fbm(g * 5. + seed * 9.));
  }
  if (z.y < -.02 && z.y > -.3 && abs(g.x) < .5) {
    c = accent.bgr * .7 * (.8 + .3 * value_noise(z * 30.));
    if (z.y < -.12) c *= .8;
    if (abs(fract(g.x * 2.) - .5) < .01) c *= .6;
  }
  return c;
}
vec3 harbour(vec2 z) {                                                  // a pier, the sea, a lighthouse
  vec3 lt = daylight(), c = z.y > 0. ? sun(sky(z), z) : sea(z);
  float side = seed > .5 ? 1. : -1.;
  vec2 b = vec2(z.x - seed * 3. * zoom - .62 * side, z.y);
  float w = .10 - .05 * b.y;
  if (b.y > -.05 && b.y < .62 && abs(b.x) < w) {
    c = (fract(b.y * 4.) < .5 ? vec3(.93) : vec3(.78, .12, .10)) * lt * (1.1 - 4. * abs(b.x + .02));
    if (b.y > .54) c = hour > .5 ? vec3(1., .9, .5) : vec3(.35, .4, .45);
  }
  if (b.y > .62 && b.y < .70 && abs(b.x) < .08 - (b.y - .62)) c = vec3(.5, .1, .1) * lt;
  if (hour > .5 && abs(b.y - .58) < abs(b.x) * .12 && b.x * side < 0.) c += vec3(.35, .3, .15);
  if (z.y < -.25) { c = wood(z.yx) * lt; if (fract(z.y * 12.) < .08) c *= .4; }
  return c;
}
vec3 garden(vec2 z) {                                                   // a hedge, roses, a path
  vec3 lt = daylight(), c = sky(z);
  if (z.y < .38 + .03 * fbm(vec2(z.x * 12., 3.))) {
    c = mix(vec3(.06, .20, .06), vec3(.20, .42, .14), fbm(z * 18.)) * lt;
    vec2 g = floor(z * 16.), f = fract(z * 16.) - .5;
    if (hash(g + seed) > .80 && length(f) < .36)
      c = mix(vec3(.92, .25, .40), vec3(.98, .80, .86), hash(g + 2.)) * lt * (1.15 - length(f));
  }
  if (z.y < -.2) c = mix(vec3(.66, .58, .46), vec3(.78, .72, .6), fbm(z * vec2(9, 30))) * lt;
  return c;
}
vec3 cafe(vec2 z) {                                                     // brick, lamps, a blackboard
  vec2 brick = z * vec2(7., 15.);
  brick.x += .5 * mod(floor(brick.y), 2.);
  vec2 f = fract(brick);
  vec3 c = mix(vec3(.50, .22, .15), vec3(.62, .33, .22), hash(floor(brick)));
  if (f.x < .06 || f.y < .12) c = vec3(.68, .62, .55);
  float side = seed > .5 ? 1. : -1.;
  vec2 g = vec2(z.x - seed * 3. * zoom - .6 * side, z.y - .25);
  if (abs(g.x) < .32 && abs(g.y) < .24) {
    c = wood(g);
    if (abs(g.x) < .29 && abs(g.y) < .21) {
      c = vec3(.06, .09, .08);
      if (fract(g.y * 14.) < .3 && fract(g.x * 30. + hash(floor(vec2(1., g.y * 14.))) * 9.) < .6 && abs(g.x) < .24) c = vec3(.85);
    }
  }
  float x = fract(z.x * .9 + seed) - .5;
  float d = length(vec2(x, z.y - .72));
  c += vec3(1., .65, .25) * exp(-d * 7.) * .9;
  if (d < .06) c = vec3(1., .95, .75);
  if (z.y < -.22) c = wood(z);
  return c * vec3(1.05, .92, .8);
}
vec3 office(vec2 z) {                                                   // blinds, a white board, desks
  vec3 c = vec3(.80, .83, .86);
  float side = seed > .5 ? 1. : -1.;
  vec2 f = vec2(z.x - seed * 3. * zoom + .5 * side, z.y - .3);
  if (abs(f.x) < .5 && abs(f.y) < .4) c = fract(f.y * 22.) < .55 ? vec3(.92, .93, .95) : sky_colour(.4);
  vec2 g = vec2(z.x - seed * 3. * zoom - .6 * side, z.y - .3);
  if (abs(g.x) < .36 && abs(g.y) < .26) {
    c = abs(g.x) > .34 || abs(g.y) > .24 ? vec3(.5) : vec3(.97);
    if (abs(g.x) < .3 && abs(g.y - .12 * sin(g.x * 9. + seed * 6.)) < .012) c = vec3(.15, .3, .8);
    if (abs(g.x) < .3 && g.y < -.1 && abs(fract(g.x * 9.) - .5) < .25 && g.y > -.2) c = vec3(.85, .3, .2);
  }
  if (z.y < -.2) c = vec3(.55, .58, .62);
  if (z.y < -.26) c = vec3(.34, .37, .42);
  return c;
}
void main() {
  vec2 z = vec2(q.x + seed * 3., q.y - horizon) * zoom;
  vec3 c;
  if (place == 0) c = studio(z);
  else if (place == 1) c = beach(z);
  else if (place == 2) c = forest(z);
  else if (place == 3) c = kitchen(z);
  else if (place == 4) c = street(z);
  else if (place == 5) c = library(z);
  else if (place == 6) c = mountains(z);
  else if (place == 7) c = meadow(z);
  else if (place == 8) c = desert(z);
  else if (place == 9) c = living_room(z);
  else if (place == 10) c = harbour(z);
  else if (place == 11) c = garden(z);
  else if (place == 12) c = cafe(z);
  else c = office(z);
  O = vec4(clamp(c, 0., 1.), 1);
}
