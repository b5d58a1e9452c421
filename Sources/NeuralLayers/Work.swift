import TensorKernels

/// What one pass through a layer costs and what the layer holds, counted from shapes alone.
///
/// Operations are floating-point ones, a multiplication and the addition after it being two; norms, activations and
/// sums are left out, as they are wherever networks are compared. A pullback costs what the pass costs, but for
/// attention, which computes its scores again.
public struct Work: Sendable, Equatable {
    /// Operations of convolutions, those with kernel 1 among them.
    public var convolutions: Double
    /// Operations of linear layers.
    public var linear: Double
    /// Operations of the two products of attention.
    public var attention: Double
    /// Operations of the products of attention's pullbacks.
    public var attentionGradient: Double
    /// The elements that the layers' pullbacks hold until they are called, in the format of the products.
    public var keptElements: Double
    /// The same, of sums, which are float32 in any format.
    public var keptSums: Double
    /// Elements that are computed once for a prompt and kept as long as it is used.
    public var promptElements: Double
    /// The numbers that were trained.
    public var parameters: Int
    /// Those of them that linear layers have in the product library's layout in float32, once for each way.
    public var packedParameters: Int
    /// Those of them that are kernels of convolutions, which a library lays out anew.
    public var kernelParameters: Int
    /// Of the largest kernel among them.
    public var largestKernel: Int
    /// The most elements that go into a layer and come out of it: of layers one after the other, the largest.
    public var widestLayer: Double
    /// How often strips of a picture wait for each other's numbers, in the pass or in its pullback.
    public var exchanges: Int
    /// The elements of all rows that a strip gives the next one, in convolutions.
    public var borderElements: Double
    /// The elements of all that strips give each other whole, in self-attention.
    public var gatheredElements: Double
    /// Operations of the linear layers that are computed while these are on their way.
    public var gatheringLinear: Double
    /// The heads of self-attention where they are fewest; nil without any.
    public var fewestHeads: Int?
    /// What tiles change of the convolutions, in float32.
    public var tiles: Tiles
    /// The same in bfloat16.
    public var bfloat16Tiles: Tiles

    /// The convolutions that are computed in tiles, by Winograd, and what is computed instead.
    public struct Tiles: Sendable, Equatable {
        /// Their operations as they are counted.
        public var counted: Double
        /// What is done instead, the way to the tiles and back with it.
        public var done: Double
        /// Numbers of their kernels, and of the transformed ones, which serve the gradient as well.
        public var kernelParameters: Int
        public var kernelValues: Int

        public init(counted: Double = 0, done: Double = 0, kernelParameters: Int = 0, kernelValues: Int = 0) {
            self.counted = counted
            self.done = done
            self.kernelParameters = kernelParameters
            self.kernelValues = kernelValues
        }

        static func + (first: Tiles, second: Tiles) -> Tiles {
            Tiles(
                counted: first.counted + second.counted, done: first.done + second.done,
                kernelParameters: first.kernelParameters + second.kernelParameters,
                kernelValues: first.kernelValues + second.kernelValues)
        }
    }

    public init(
        convolutions: Double = 0, linear: Double = 0, attention: Double = 0, attentionGradient: Double = 0,
        keptElements: Double = 0, keptSums: Double = 0, promptElements: Double = 0, parameters: Int = 0,
        packedParameters: Int = 0, kernelParameters: Int = 0, largestKernel: Int = 0, widestLayer: Double = 0,
        exchanges: Int = 0, borderElements: Double = 0, gatheredElements: Double = 0, gatheringLinear: Double = 0,
        fewestHeads: Int? = nil, tiles: Tiles = Tiles(), bfloat16Tiles: Tiles = Tiles()
    ) {
        self.convolutions = convolutions
        self.linear = linear
        self.attention = attention
        self.attentionGradient = attentionGradient
        self.keptElements = keptElements
        self.keptSums = keptSums
        self.promptElements = promptElements
        self.parameters = parameters
        self.packedParameters = packedParameters
        self.kernelParameters = kernelParameters
        self.largestKernel = largestKernel
        self.widestLayer = widestLayer
        self.exchanges = exchanges
        self.borderElements = borderElements
        self.gatheredElements = gatheredElements
        self.gatheringLinear = gatheringLinear
        self.fewestHeads = fewestHeads
        self.tiles = tiles
        self.bfloat16Tiles = bfloat16Tiles
    }

    /// All operations, as networks are compared by them.
    public var operations: Double { convolutions + linear + attention }
    /// Those of convolutions that are really done.
    public var doneConvolutions: Double { convolutions - tiles.counted + tiles.done }
    public var doneOperations: Double { doneConvolutions + linear + attention }
    /// How many numbers of weights are read for it, kernels as tiles have them.
    public var weightsRead: Int { parameters - tiles.kernelParameters + tiles.kernelValues }

    /// How many numbers lie in memory once more for the gradient: kernels turned round, but for those of tiles, which serve
    /// both ways, and weights in the product library's layout.
    public var weightsOfGradient: Int { kernelParameters - tiles.kernelParameters + packedParameters }

    /// What is done in a format, as `tiles` and `packedParameters` have it then.
    public func done(in elementType: ElementType) -> Work {
        guard elementType != .float32 else { return self }
        var work = self
        work.tiles = bfloat16Tiles
        work.packedParameters = parameters - kernelParameters
        return work
    }

    public static func + (first: Work, second: Work) -> Work {
        Work(
            convolutions: first.convolutions + second.convolutions, linear: first.linear + second.linear,
            attention: first.attention + second.attention,
            attentionGradient: first.attentionGradient + second.attentionGradient,
            keptElements: first.keptElements + second.keptElements, keptSums: first.keptSums + second.keptSums,
            promptElements: first.promptElements + second.promptElements,
            parameters: first.parameters + second.parameters,
            packedParameters: first.packedParameters + second.packedParameters,
            kernelParameters: first.kernelParameters + second.kernelParameters,
            largestKernel: max(first.largestKernel, second.largestKernel),
            widestLayer: max(first.widestLayer, second.widestLayer), exchanges: first.exchanges + second.exchanges,
            borderElements: first.borderElements + second.borderElements,
            gatheredElements: first.gatheredElements + second.gatheredElements,
            gatheringLinear: first.gatheringLinear + second.gatheringLinear,
            fewestHeads: [first.fewestHeads, second.fewestHeads].compactMap { $0 }.min(),
            tiles: first.tiles + second.tiles, bfloat16Tiles: first.bfloat16Tiles + second.bfloat16Tiles)
    }

    public static func += (sum: inout Work, other: Work) { sum = sum + other }

    /// The products of queries with keys, and of scores with values; in the pullback the scores again, their gradient,
    /// and the gradients of the queries and, where keys and values are no constants, of these.
    static func attention(queries: Int, keys: Int, channels: Int, areKeysConstant: Bool) -> Work {
        let product = 2 * Double(queries) * Double(keys) * Double(channels)
        return Work(attention: 2 * product, attentionGradient: (areKeysConstant ? 3 : 5) * product)
    }

    /// A value of `positions` x `channels` that a pullback holds.
    static func kept(positions: Int, channels: Int, isSum: Bool = false) -> Work {
        let elements = Double(positions) * Double(channels)
        return isSum ? Work(keptSums: elements) : Work(keptElements: elements)
    }

    /// The same with linear layers counted as convolutions, which they are in a network that says kernel 1 for them.
    public var asConvolutions: Work {
        var work = self
        work.convolutions += linear
        work.linear = 0
        return work
    }
}
