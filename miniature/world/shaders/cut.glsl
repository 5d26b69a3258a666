// Sleeves, hem and neckline of a procedural garment, in rest coordinates: uv = (|x|/5, (y+10)/20).
uniform vec4 cut;   // largest |x|, lowest y, highest y, 1 if the garment is cut at all
uniform vec3 neck;  // half width, y at its sides, y at its lowest; half width 0: no neckline
bool cut_away(vec2 uv) {
  if (cut.w < .5) return false;
  float x = uv.x * 5., y = (1. - uv.y) * 20. - 10.;
  if (x > cut.x || y < cut.y || y > cut.z) return true;
  float curve = neck.y > 5.9 ? 1. : 2.;
  return neck.x > 0. && x < neck.x && y > neck.z + (neck.y - neck.z) * pow(x / neck.x, curve);
}
float hem_shade(vec2 uv) {
  float x = uv.x * 5., y = (1. - uv.y) * 20. - 10.;
  float d = min(min(abs(y - cut.y), abs(x - cut.x)), abs(y - cut.z));
  return mix(.72, 1., smoothstep(.05, .09, d));
}
