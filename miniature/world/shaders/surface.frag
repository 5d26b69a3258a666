#version 330
// One shader for every surface of a person; `kind` is the number in render.KINDS.
#define SKIN 0
#define EYE 1
#define HAIR 2
#define CLOTH 3
#define LASH 4
#define TEETH 5
#define PLASTIC 6
in vec3 P; in vec3 N; in vec2 U; in vec4 S; in float AO;
layout(location = 0) out vec4 O;
uniform int kind;
uniform vec3 camera, light, light_colour, sky, ground, fill, fill_colour;
uniform sampler2D base_map, detail_map;
uniform sampler2DShadow shadow_map;
uniform vec3 tint, tint2, gaze, eye_centre, up, iris;
uniform float gloss, base_mix, exposure, alpha_mix, stripes, base_mean;
//NOISE
//CUT
float shadow(float bias) {
  vec3 q = S.xyz / S.w * .5 + .5;
  q.z -= bias;
  float s = 0.;
  for (int i = 0; i < 4; i++) {
    vec2 o = vec2(float(i & 1) - .5, float(i >> 1) - .5) * 1.6 / 768.;
    s += texture(shadow_map, vec3(q.xy + o, q.z));
  }
  return s * .25;
}
vec3 aces(vec3 x) { return clamp((x * (2.51 * x + .03)) / (x * (2.43 * x + .59) + .14), 0., 1.); }
float ggx(vec3 n, vec3 v, vec3 l, float rough, float f0) {
  vec3 h = normalize(v + l);
  float a = rough * rough, nh = max(dot(n, h), 0.), nl = max(dot(n, l), 0.);
  float nv = max(dot(n, v), .05), lh = max(dot(l, h), 0.);
  float d = nh * nh * (a * a - 1.) + 1.;
  float k = (rough + 1.) * (rough + 1.) / 8.;
  float g = 1. / ((nl * (1. - k) + k) * (nv * (1. - k) + k));
  return a * a / (3.1416 * d * d) * g * (f0 + (1. - f0) * pow(1. - lh, 5.)) * .25 * nl;
}
vec3 iris_colour(vec3 d) {  // d: direction from the eye's centre
  float angle = acos(clamp(dot(d, gaze), -1., 1.)), k = angle / .50;
  vec3 radial = normalize(d - gaze * dot(d, gaze) + 1e-5), side = normalize(cross(up, gaze));
  float turn = atan(dot(radial, up), dot(radial, side));
  vec3 sclera = mix(vec3(.80, .76, .73), vec3(.72, .48, .42), smoothstep(.55, 1.25, angle));
  float fibre = .65 + .5 * value_noise(vec2(turn * 9., k * 3.)) + .25 * value_noise(vec2(turn * 28., k * 2.));
  vec3 c = iris * fibre * (.75 + .5 * smoothstep(.9, .35, k));
  c = mix(c, iris * 1.5 + vec3(.06, .04, .01), smoothstep(.6, .4, k) * .35);
  c *= mix(.35, 1., smoothstep(1., .82, k));                    // limbal ring
  c = mix(vec3(.008), c, smoothstep(.34, .43, k));              // pupil
  return mix(sclera, c, smoothstep(1.04, .96, k));
}
void main() {
  if (kind == CLOTH && cut_away(U)) discard;
  vec3 n = normalize(N), v = normalize(camera - P);
  if (dot(n, v) < 0. && kind != EYE && kind != SKIN) n = -n;
  vec4 t = texture(base_map, U);
  vec3 albedo, wrap = vec3(.08), extra = vec3(0);
  float a = 1., rough = .7, f0 = .03, specular = 1., ao = AO;
  if (kind == SKIN) {
    albedo = tint * texture(detail_map, U).rgb * 2.;
    wrap = vec3(.36, .16, .10);                                  // light bleeds red under the skin
    rough = .48; f0 = .028; specular = .9 + .5 * gloss;
  } else if (kind == EYE) {
    n = normalize(P - eye_centre);
    albedo = iris_colour(n);
    ao *= mix(1., .42, smoothstep(.0, .75, dot(n, up) + .06));   // the upper lid's shade
    wrap = vec3(.25, .2, .18); rough = .16; f0 = .04;
    extra = sky * .35 * smoothstep(.15, .6, reflect(-v, n).y);
  } else if (kind == HAIR) {
    a = mix(1., t.a, base_mix);
    float l = dot(t.rgb, vec3(.3, .6, .1)), w = clamp(l / base_mean, 0., 2.2);
    albedo = mix(tint, tint2, smoothstep(.6, 1.7, w) * .6) * (.35 + .65 * w);
    wrap = vec3(.2); f0 = 0.; specular = 0.;
    vec3 T = normalize(up - n * dot(n, up) + 1e-4), h = normalize(v + light);
    float th = dot(T, h) + (l - base_mean) * .5;                 // two Kajiya-Kay lobes
    float s1 = pow(max(1. - th * th, 0.), 60.), s2 = pow(max(1. - pow(th + .2, 2.), 0.), 14.);
    extra = light_colour * (s1 * .10 + s2 * .22 * tint2) * w * gloss;
  } else if (kind == CLOTH) {
    albedo = tint;
    if (stripes > .5) albedo = mix(albedo, tint2 * 2., smoothstep(.45, .55, fract(P.y * stripes)));
    albedo *= (.9 + .2 * value_noise(U * 900.)) * hem_shade(U);
    rough = .75; specular = gloss; wrap = vec3(.12);
    extra = sky * albedo * pow(1. - max(dot(n, v), 0.), 3.) * .5;
  } else if (kind == LASH) {
    a = t.a * alpha_mix; albedo = tint; rough = .9; f0 = 0.; specular = 0.;
  } else if (kind == TEETH) {
    albedo = vec3(.75, .70, .62) * tint; rough = .25; f0 = .05; ao *= .75;
  } else {
    albedo = tint; rough = .25; f0 = .06;
  }
  if (kind == HAIR && a < .08) discard;
  float s = shadow(kind == SKIN ? .0028 : .004), nl = dot(n, light);
  vec3 diffuse = clamp((nl + wrap) / (1. + wrap), 0., 1.);
  vec3 soft = kind == SKIN ? pow(vec3(s), vec3(.55, .85, .95)) : vec3(s);
  vec3 c = albedo * (diffuse * soft * light_colour + ao * mix(ground, sky, n.y * .5 + .5)
                     + ao * fill_colour * clamp((dot(n, fill) + .3) / 1.3, 0., 1.));
  c += specular * s * light_colour * (ggx(n, v, light, rough, f0) * .75
       + (kind == SKIN || kind == EYE ? ggx(n, v, light, rough * .62, f0) * .35 : 0.));
  c += specular * ao * fill_colour * ggx(n, v, fill, rough, f0);
  float fresnel = f0 + (1. - f0) * pow(1. - max(dot(n, v), 0.), 5.);
  c += specular * ao * fresnel * mix(ground, sky, reflect(-v, n).y * .5 + .5) * (1. - rough) * 1.2;
  c += extra * (.25 + .75 * s) * ao;
  O = vec4(pow(aces(c * exposure), vec3(1. / 2.2)), a);
}
