/// What one pass through a layer costs and what the layer holds, counted from shapes alone.
///
/// Operations are floating-point ones, a multiplication and the addition after it being two; norms, activations and
/// sums are left out, as they are wherever networks are compared. A pullback costs about what the pass costs, and what
/// attention computes again.
public struct Work: Sendable, Equatable {
    /// Operations of convolutions, those with kernel 1 among them.
    public var convolutions: Double
    /// Operations of linear layers.
    public var linear: Double
    /// Operations of the two products of attention.
    public var attention: Double
    /// The elements that the layers' pullbacks hold until they are called.
    public var keptElements: Double
    /// The numbers that were trained.
    public var parameters: Int

    public init(
        convolutions: Double = 0, linear: Double = 0, attention: Double = 0, keptElements: Double = 0,
        parameters: Int = 0
    ) {
        self.convolutions = convolutions
        self.linear = linear
        self.attention = attention
        self.keptElements = keptElements
        self.parameters = parameters
    }

    /// All operations.
    public var operations: Double { convolutions + linear + attention }

    public static func + (first: Work, second: Work) -> Work {
        Work(
            convolutions: first.convolutions + second.convolutions, linear: first.linear + second.linear,
            attention: first.attention + second.attention, keptElements: first.keptElements + second.keptElements,
            parameters: first.parameters + second.parameters)
    }

    public static func += (sum: inout Work, other: Work) { sum = sum + other }

    /// The products of queries with keys, and of scores with values.
    static func attention(queries: Int, keys: Int, channels: Int) -> Work {
        Work(attention: 4 * Double(queries) * Double(keys) * Double(channels))
    }

    /// A value of `positions` x `channels` that a pullback holds.
    static func kept(positions: Int, channels: Int) -> Work {
        Work(keptElements: Double(positions) * Double(channels))
    }

    /// The same with linear layers counted as convolutions, which they are in a network that says kernel 1 for them.
    public var asConvolutions: Work {
        var work = self
        work.convolutions += linear
        work.linear = 0
        return work
    }
}
