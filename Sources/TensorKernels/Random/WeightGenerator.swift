/// A fast source of uniform numbers to fill the weights of a random model; nothing PyTorch would recognise.
///
/// SplitMix64 (Steele, Lea and Flood, 2014): number n is a hash of `seed + n x odd constant`. Give each tensor a
/// generator of its own by `stream`, and its values don't depend on which tensors were filled before it.
public struct WeightGenerator: Sendable {
    private var state: UInt64

    public init(seed: UInt64) {
        state = seed
    }

    /// The generator for one tensor of the model with this seed; `stream` is the tensor's key.
    public init(seed: UInt64, stream: String) {
        // FNV-1a over the key's UTF-8 bytes, spread over 64 bits by one SplitMix64 step each for key and seed.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in stream.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        state = Self.mix(seed &+ 0x9e37_79b9_7f4a_7c15) ^ Self.mix(hash)
    }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Self.mix(state)
    }

    /// The next number, uniform in [-bound, bound).
    public mutating func uniform(bound: Float) -> Float {
        bound * (Float(next() >> 40) * 0x1p-23 - 1)
    }

    /// Fills `values` with numbers uniform in [-bound, bound); their standard deviation is `bound / sqrt(3)`.
    public mutating func fill(_ values: UnsafeMutableBufferPointer<Float>, bound: Float) {
        for index in values.indices { values[index] = uniform(bound: bound) }
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
