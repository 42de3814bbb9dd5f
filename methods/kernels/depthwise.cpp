// Depth-wise 3x3 convolution with zero padding on channels-last maps, alone or followed by
// Restormer's gate gelu(a) * b, and their gradients.
//
// Maps are (images, height, width, channels), contiguous. Weights are (9, channels), tap-major;
// where there is a bias, it is a tenth row.
// The innermost loop runs along a row for one vector of channels, whose nine taps stay in
// registers; every pixel is then three loads, nine products and one store. A row is taken in
// pieces that stay in the cache while the channels pass over them. Rows are cut into strips: a
// strip is a thread's unit of work. Backward its height depends on the map alone, so that no
// sum depends on the number of threads; forward a row is computed alike in any strip.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace {

constexpr int kStrip = 16;     // rows that one thread takes at once, at most
constexpr int kColumns = 32;   // columns of a piece of a row
#ifdef __AVX512F__
constexpr int kVectorBytes = 64;
#else
constexpr int kVectorBytes = 32;
#endif

struct bfloat16 {
  uint16_t bits;
};

template <typename T>
struct compute {
  using type = T;
};
template <>
struct compute<bfloat16> {
  using type = float;
};
template <typename T>
using compute_t = typename compute<T>::type;

inline float load(float v) { return v; }
inline double load(double v) { return v; }
inline float load(bfloat16 v) {
  uint32_t wide = static_cast<uint32_t>(v.bits) << 16;
  float out;
  std::memcpy(&out, &wide, 4);
  return out;
}
inline void store(float& to, float v) { to = v; }
inline void store(double& to, double v) { to = v; }
inline void store(bfloat16& to, float v) {
  // Round to nearest, ties to even. A NaN stays one: its quiet bit is set by the addition
  // only if the payload is tiny, so it is set here.
  uint32_t wide;
  std::memcpy(&wide, &v, 4);
  uint32_t rounded = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
  bool nan = (wide & 0x7fffffffu) > 0x7f800000u;
  to.bits = static_cast<uint16_t>(nan ? (wide >> 16) | 0x40u : rounded);
}

// exp for x <= 0: 2^n times a polynomial on |r| <= ln(2)/2; relative error below 3e-7.
inline float exp_negative(float x) {
  x = std::max(x, -87.0f);
  float shifted = x * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: the integer is in the low bits
  float n = shifted - 12582912.0f;
  float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  uint32_t bits;
  std::memcpy(&bits, &shifted, 4);
  uint32_t scale_bits = (bits - 0x4b400000u + 127u) << 23;
  float scale;
  std::memcpy(&scale, &scale_bits, 4);
  return p * scale;
}

// The normal distribution's cumulative function and density, which GELU and its slope share.
// In float: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26, absolute error
// below 1.5e-7.
inline void normal(float x, float& cdf, float& density) {
  float square = std::min(0.5f * x * x, 87.0f);
  float e = exp_negative(-square);
  float t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * std::fabs(x));
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  float upper = 0.5f * p * t * e;
  cdf = x > 0 ? 1.0f - upper : upper;
  density = 0.39894228f * e;
}
inline void normal(double x, double& cdf, double& density) {
  cdf = 0.5 * std::erfc(-x * 0.70710678118654752440);
  density = 0.39894228040143267794 * std::exp(-0.5 * x * x);
}

struct Map {
  int64_t height, width, channels;
  int64_t row() const { return width * channels; }
};

// A vector of W values to compute with; W is 1 for the channels that no whole vector covers.
template <typename C, int W>
struct pack {
  typedef C type __attribute__((vector_size(W * sizeof(C))));
};
template <typename C, int W>
using pack_t = typename pack<C, W>::type;

template <int W, typename In>
inline pack_t<compute_t<In>, W> load_pack(const In* from) {
  pack_t<compute_t<In>, W> out;
  if constexpr (std::is_same_v<In, compute_t<In>>) {
    std::memcpy(&out, from, sizeof out);
  } else {
    for (int i = 0; i < W; ++i) out[i] = load(from[i]);
  }
  return out;
}
template <typename C, int W>
inline void store_pack(C* to, const pack_t<C, W>& v) {
  std::memcpy(to, &v, sizeof v);
}

// How a map is written. What is larger than the cache is not in it when it is read next, so it
// need not be fetched before it is overwritten: whole lines go to memory past the cache.
enum class Way { kCached, kPast };

template <Way way, typename C, int W>
inline void store_pack(C* to, const pack_t<C, W>& v) {
#ifdef __AVX512F__
  if constexpr (way == Way::kPast && sizeof v == 64) {
    __m512i bits;
    std::memcpy(&bits, &v, 64);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), bits);
    return;
  }
#endif
  store_pack<C, W>(to, v);
}

constexpr int64_t kCacheBytes = 16 << 20;  // a smaller map may still be in one when it is read

// Whether a map of `elements` is written past the cache: where it is large, and its pixels begin
// and end with lines.
template <typename T>
inline bool goes_past(const T* map, int64_t elements, int64_t channels) {
#ifdef __AVX512F__
  constexpr int64_t line = 64;
  return elements * int64_t(sizeof(T)) >= kCacheBytes && channels * sizeof(T) % line == 0 &&
         reinterpret_cast<uintptr_t>(map) % line == 0;
#else
  return false;
#endif
}

// Makes what was written past the cache visible to other threads.
inline void fence() {
#ifdef __AVX512F__
  _mm_sfence();
#endif
}

// Columns [begin, end) of a row of the convolution, for W channels. Each column of inputs gives
// three sums over the rows, one for each column of outputs that it touches.
template <Way way, int W, typename In, typename C>
void convolve_channels(const In* const rows[3], const C* taps, C* out, int64_t begin, int64_t end,
                       const Map& m) {
  using V = pack_t<C, W>;
  const int64_t step = m.channels;
  V w[9];
  const In* from[3];
  for (int d = 0; d < 3; ++d) {
    from[d] = rows[d] ? rows[d] : rows[1];
    for (int k = 0; k < 3; ++k)
      w[d * 3 + k] = rows[d] ? load_pack<W>(taps + (d * 3 + k) * step) : V{};
  }
  auto sum = [&](const V& a, const V& b, const V& c, int k) {
    return a * w[k] + b * w[3 + k] + c * w[6 + k];
  };
  auto at = [&](int d, int64_t x) { return load_pack<W>(from[d] + x * step); };
  V before{};
  if (begin > 0) before = sum(at(0, begin - 1), at(1, begin - 1), at(2, begin - 1), 0);
  V a = at(0, begin), b = at(1, begin), c = at(2, begin);
  V open = before + sum(a, b, c, 1), next = sum(a, b, c, 0);
  const int64_t whole = std::min(end, m.width - 1);
  for (int64_t x = begin; x < whole; ++x) {
    a = at(0, x + 1), b = at(1, x + 1), c = at(2, x + 1);
    store_pack<way, C, W>(out + x * step, open + sum(a, b, c, 2));
    open = next + sum(a, b, c, 1);
    next = sum(a, b, c, 0);
  }
  if (whole < end) store_pack<way, C, W>(out + whole * step, open);
}

// Adds to the taps of W channels the products of columns [begin, end) of a row of output
// gradients with the inputs about them.
template <int W, typename In, typename C>
void accumulate_channels(const In* const rows[3], const C* gradient, C* taps, int64_t begin,
                         int64_t end, const Map& m) {
  using V = pack_t<C, W>;
  const int64_t step = m.channels;
  const In* from[3];
  for (int d = 0; d < 3; ++d) from[d] = rows[d] ? rows[d] : rows[1];
  V sums[9];
  for (V& s : sums) s = V{};
  V left{}, centre{};
  V right = begin > 0 ? load_pack<W>(gradient + begin * step) : V{};
  int64_t x = std::max<int64_t>(0, begin - 1);
  if (begin == 0) {
    centre = load_pack<W>(gradient);
    right = end > 1 ? load_pack<W>(gradient + step) : V{};
  }
  const int64_t last = std::min(m.width - 1, end);
  for (; x <= last; ++x) {
    for (int d = 0; d < 3; ++d) {
      const V in = load_pack<W>(from[d] + x * step);
      sums[d * 3] += in * right;
      sums[d * 3 + 1] += in * centre;
      sums[d * 3 + 2] += in * left;
    }
    left = centre;
    centre = right;
    right = x + 2 < end ? load_pack<W>(gradient + (x + 2) * step) : V{};
  }
  for (int tap = 0; tap < 9; ++tap)
    if (rows[tap / 3])
      store_pack<C, W>(taps + tap * step, load_pack<W>(taps + tap * step) + sums[tap]);
}

// Whole vectors, then a half one where it fits, then single channels.
template <typename In, typename Work>
void over_pieces(const In* const rows[3], const Map& m, Work work) {
  constexpr int lanes = kVectorBytes / sizeof(compute_t<In>);
  for (int64_t begin = 0; begin < m.width; begin += kColumns) {
    const int64_t end = std::min(m.width, begin + kColumns);
    int64_t c = 0;
    auto advance = [&](auto width) {
      constexpr int wide = decltype(width)::value;
      for (; c + wide <= m.channels; c += wide) {
        const In* at[3] = {rows[0] ? rows[0] + c : nullptr, rows[1] + c,
                           rows[2] ? rows[2] + c : nullptr};
        work(width, at, c, begin, end);
      }
    };
    advance(std::integral_constant<int, lanes>());
    advance(std::integral_constant<int, lanes / 2>());
    advance(std::integral_constant<int, 1>());
  }
}

// One row of the convolution over the rows above, at and below it (null outside the map).
template <Way way = Way::kCached, typename In, typename C>
void convolve_row(const In* const rows[3], const C* taps, C* out, const Map& m) {
  over_pieces(rows, m, [&](auto width, const In* const* at, int64_t c, int64_t begin, int64_t end) {
    convolve_channels<way, decltype(width)::value>(at, taps + c, out + c, begin, end, m);
  });
}
template <typename In, typename C>
void convolve_row(const In* const rows[3], const C* taps, C* out, const Map& m, bool past) {
  if (past) {
    convolve_row<Way::kPast>(rows, taps, out, m);
  } else {
    convolve_row(rows, taps, out, m);
  }
}

// Adds to taps (3, 3, channels) the products of one row of output gradients with the inputs.
template <typename In, typename C>
void accumulate_taps(const In* const rows[3], const C* gradient, C* taps, const Map& m) {
  over_pieces(rows, m, [&](auto width, const In* const* at, int64_t c, int64_t begin, int64_t end) {
    accumulate_channels<decltype(width)::value>(at, gradient + c, taps + c, begin, end, m);
  });
}

template <typename In>
void rows_about(const In* image, int64_t y, const Map& m, const In* rows[3]) {
  for (int d = 0; d < 3; ++d) {
    const int64_t at = y + d - 1;
    rows[d] = at < 0 || at >= m.height ? nullptr : image + at * m.row();
  }
}

// Adds a bias to a row that is still in the cache, so that a convolution without one is spared it.
template <typename C>
void add_bias(C* row, const C* bias, const Map& m) {
  for (int64_t x = 0; x < m.width; ++x) {
    C* pixel = row + x * m.channels;
#pragma omp simd
    for (int64_t c = 0; c < m.channels; ++c) pixel[c] += bias[c];
  }
}

// Adds to the bias's gradient one row of output gradients.
template <typename C>
void accumulate_bias(const C* gradient, C* bias, const Map& m) {
  for (int64_t x = 0; x < m.width; ++x) {
    const C* pixel = gradient + x * m.channels;
#pragma omp simd
    for (int64_t c = 0; c < m.channels; ++c) bias[c] += pixel[c];
  }
}

int64_t strips(const Map& m) { return (m.height + kStrip - 1) / kStrip; }

// What of a map's neighbourhood is known where the map continues.
template <typename T>
struct Neighbours {
  const T* above;   // (images, 2, width, channels): the two rows before the first, or null
  bool open_below;  // whether rows follow, so that the last row cannot be computed yet
};

template <typename T>
void rows_about(const T* image, const T* above, int64_t y, const Map& m, const T* rows[3]) {
  rows_about(image, y, m, rows);
  for (int d = 0; above && d < 3 && y + d < 1; ++d) rows[d] = above + (y + d + 1) * m.row();
}

template <typename T>
void forward(const T* input, Neighbours<T> about, const compute_t<T>* taps, T* output,
             int64_t images, Map m, bool gated, bool biased, int threads) {
  using C = compute_t<T>;
  const C* bias = biased ? taps + 9 * m.channels : nullptr;
  const int64_t half = m.channels / 2, out_channels = gated ? half : m.channels;
  const int64_t first = about.above ? -1 : 0, end = m.height - (about.open_below ? 1 : 0);
  const int64_t count = end - first;
  const int64_t strip = std::min<int64_t>(kStrip, (count + threads - 1) / threads);
  const int64_t strips_of_image = strip > 0 ? (count + strip - 1) / strip : 0;
  // A gated map waits for its function, and a bias is added to a row that is in the cache.
  const bool past = std::is_same_v<T, C> && !gated && !bias &&
                    goes_past(output, images * count * m.row(), m.channels);
#pragma omp parallel num_threads(threads)
  {
    std::vector<C> buffer(m.row());
#pragma omp for schedule(static)
    for (int64_t unit = 0; unit < images * strips_of_image; ++unit) {
      const int64_t image = unit / strips_of_image;
      const int64_t top = first + unit % strips_of_image * strip;
      const T* from = input + image * m.height * m.row();
      const T* before = about.above ? about.above + image * 2 * m.row() : nullptr;
      for (int64_t y = top; y < std::min(end, top + strip); ++y) {
        const T* rows[3];
        rows_about(from, before, y, m, rows);
        T* to = output + (image * count + y - first) * m.width * out_channels;
        if constexpr (std::is_same_v<T, C>) {
          if (!gated) {
            convolve_row(rows, taps, to, m, past);
            if (bias) add_bias(to, bias, m);
            continue;
          }
        }
        convolve_row(rows, taps, buffer.data(), m);
        if (bias) add_bias(buffer.data(), bias, m);
        if (!gated) {
#pragma omp simd
          for (int64_t i = 0; i < m.row(); ++i) store(to[i], buffer[i]);
          continue;
        }
        for (int64_t x = 0; x < m.width; ++x) {
          const C* a = buffer.data() + x * m.channels;
          const C* b = a + half;
          T* t = to + x * half;
#pragma omp simd
          for (int64_t c = 0; c < half; ++c) {
            C cdf, density;
            normal(a[c], cdf, density);
            store(t[c], a[c] * cdf * b[c]);
          }
        }
      }
    }
    if (past) fence();
  }
}

// Writes into `out` the gradient with respect to the convolution's output in row y: given
// (`gated` false), or recomputed through the gate, which spares keeping the convolved map.
template <typename T>
void output_gradient(const T* input, const compute_t<T>* taps, const compute_t<T>* bias,
                     const T* gradient, compute_t<T>* out, int64_t y, const Map& m, bool gated) {
  using C = compute_t<T>;
  if (!gated) {
    const T* from = gradient + y * m.row();
#pragma omp simd
    for (int64_t i = 0; i < m.row(); ++i) out[i] = load(from[i]);
    return;
  }
  const T* rows[3];
  rows_about(input, y, m, rows);
  convolve_row(rows, taps, out, m);
  if (bias) add_bias(out, bias, m);
  const int64_t half = m.channels / 2;
  for (int64_t x = 0; x < m.width; ++x) {
    C* a = out + x * m.channels;
    C* b = a + half;
    const T* g = gradient + (y * m.width + x) * half;
#pragma omp simd
    for (int64_t c = 0; c < half; ++c) {
      C cdf, density;
      normal(a[c], cdf, density);
      const C upstream = load(g[c]);
      const C gate = a[c] * cdf;
      a[c] = upstream * b[c] * (cdf + a[c] * density);
      b[c] = upstream * gate;
    }
  }
}

template <typename T>
void backward(const T* input, const compute_t<T>* taps, const T* gradient, T* input_gradient,
              compute_t<T>* taps_gradient, int64_t images, Map m, bool gated, bool biased,
              int threads) {
  using C = compute_t<T>;
  const C* bias = biased ? taps + 9 * m.channels : nullptr;
  const int64_t units = images * strips(m), taps_size = (biased ? 10 : 9) * m.channels;
  const int64_t gradient_row = gated ? m.row() / 2 : m.row();
  std::vector<C> flipped(9 * m.channels);
  for (int tap = 0; tap < 9; ++tap)
    std::copy(taps + tap * m.channels, taps + (tap + 1) * m.channels,
              flipped.begin() + (8 - tap) * m.channels);
  std::vector<C> partial(taps_gradient ? units * taps_size : 0);
  const bool past = std::is_same_v<T, C> && input_gradient &&
                    goes_past(input_gradient, images * m.height * m.row(), m.channels);
#pragma omp parallel num_threads(threads)
  {
    std::vector<C> ring(3 * m.row()), line(std::is_same_v<T, C> ? 0 : m.row());
#pragma omp for schedule(static)
    for (int64_t unit = 0; unit < units; ++unit) {
      const int64_t image = unit / strips(m), top = unit % strips(m) * kStrip;
      const int64_t bottom = std::min(m.height, top + kStrip);
      const T* from = input + image * m.height * m.row();
      const T* upstream = gradient + image * m.height * gradient_row;
      auto slot = [&](int64_t y) { return ring.data() + (y + 3) % 3 * m.row(); };
      for (int64_t y = std::max<int64_t>(0, top - 1); y <= std::min(m.height - 1, top); ++y)
        output_gradient(from, taps, bias, upstream, slot(y), y, m, gated);
      for (int64_t y = top; y < bottom; ++y) {
        if (y + 1 < m.height)
          output_gradient(from, taps, bias, upstream, slot(y + 1), y + 1, m, gated);
        if (input_gradient) {
          const C* rows[3] = {y > 0 ? slot(y - 1) : nullptr, slot(y),
                              y + 1 < m.height ? slot(y + 1) : nullptr};
          T* to = input_gradient + (image * m.height + y) * m.row();
          if constexpr (std::is_same_v<T, C>) {
            convolve_row(rows, flipped.data(), to, m, past);
          } else {
            convolve_row(rows, flipped.data(), line.data(), m);
#pragma omp simd
            for (int64_t i = 0; i < m.row(); ++i) store(to[i], line[i]);
          }
        }
        if (taps_gradient) {
          const T* rows[3];
          rows_about(from, y, m, rows);
          C* sums = partial.data() + unit * taps_size;
          accumulate_taps(rows, slot(y), sums, m);
          if (bias) accumulate_bias(slot(y), sums + 9 * m.channels, m);
        }
      }
    }
    if (past) fence();
  }
  if (!taps_gradient) return;
  std::fill(taps_gradient, taps_gradient + taps_size, C(0));
  for (int64_t unit = 0; unit < units; ++unit)
    for (int64_t i = 0; i < taps_size; ++i)
      taps_gradient[i] += partial[unit * taps_size + i];
}

}  // namespace

#define EXPORT(NAME, T)                                                                        \
  extern "C" void depthwise_forward_##NAME(                                                    \
      const void* input, const void* above, int open_below, const void* taps, void* output,    \
      int64_t images, int64_t height, int64_t width, int64_t channels, int gated, int biased,  \
      int threads) {                                                                           \
    forward(static_cast<const T*>(input),                                                      \
            Neighbours<T>{static_cast<const T*>(above), open_below != 0},                      \
            static_cast<const compute_t<T>*>(taps), static_cast<T*>(output), images,           \
            Map{height, width, channels}, gated != 0, biased != 0, threads);                   \
  }                                                                                            \
  extern "C" void depthwise_backward_##NAME(                                                   \
      const void* input, const void* taps, const void* gradient, void* input_gradient,         \
      void* taps_gradient, int64_t images, int64_t height, int64_t width, int64_t channels,    \
      int gated, int biased, int threads) {                                                    \
    backward(static_cast<const T*>(input), static_cast<const compute_t<T>*>(taps),             \
             static_cast<const T*>(gradient), static_cast<T*>(input_gradient),                 \
             static_cast<compute_t<T>*>(taps_gradient), images, Map{height, width, channels},  \
             gated != 0, biased != 0, threads);                                                \
  }

EXPORT(float32, float)
EXPORT(float64, double)
EXPORT(bfloat16, bfloat16)
