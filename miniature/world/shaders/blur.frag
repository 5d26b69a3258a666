#version 330
// The background through a lens: four taps of a coarser mip level.
in vec2 q;
uniform sampler2D picture;
uniform float level;
layout(location = 0) out vec4 O;
void main() {
  vec2 u = q * .5 + .5;
  vec3 c = vec3(0);
  float w = exp2(level) * .45 / float(textureSize(picture, 0).x);
  for (int i = 0; i < 4; i++) c += textureLod(picture, u + (vec2(i & 1, i >> 1) * 2. - 1.) * w, level).rgb;
  O = vec4(c / 4., 1);
}
