/// The 32-bit Mersenne twister mt19937 (Matsumoto and Nishimura, 1998), the engine of PyTorch's CPU generator.
///
/// - Note: state of 624 words; period 2^19937 - 1; output tempered as in the authors' `genrand_int32`.
struct MersenneTwister: Sendable {
    private static let length = 624
    private static let middle = 397

    private var state: [UInt32]
    private var position: Int

    /// Seeds as the authors' `init_genrand` does (Knuth's multiplier 1812433253).
    init(seed: UInt32) {
        state = [UInt32](repeating: seed, count: Self.length)
        for index in 1..<Self.length {
            let previous = state[index - 1]
            state[index] = 1_812_433_253 &* (previous ^ (previous >> 30)) &+ UInt32(index)
        }
        position = Self.length
    }

    /// The next 32 uniformly distributed bits.
    mutating func next() -> UInt32 {
        if position == Self.length { refill() }
        var word = state[position]
        position += 1
        word ^= word >> 11
        word ^= (word << 7) & 0x9d2c_5680
        word ^= (word << 15) & 0xefc6_0000
        return word ^ (word >> 18)
    }

    private mutating func refill() {
        for index in 0..<Self.length {
            let following = state[(index + 1) % Self.length]
            let joined = (state[index] & 0x8000_0000) | (following & 0x7fff_ffff)
            let twisted = (joined >> 1) ^ (joined & 1 == 0 ? 0 : 0x9908_b0df)
            state[index] = state[(index + Self.middle) % Self.length] ^ twisted
        }
        position = 0
    }
}
