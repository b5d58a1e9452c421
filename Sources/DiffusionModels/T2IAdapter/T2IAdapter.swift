import NeuralLayers
import TensorKernels

/// Makes of a map a feature for each level of a UNet. diffusers' `T2IAdapter`.
///
/// It sees neither latent nor timestep, so it runs once for a job, in float32, and no gradient goes through it.
public struct T2IAdapter: Sendable {
    public let configuration: T2IAdapterConfiguration
    private let entry: Convolution2D?
    private let levels: [AdapterLevel]

    public init(_ configuration: T2IAdapterConfiguration, weights: any WeightSource) {
        let scope = ParameterScope(weights)["adapter"]
        let channels = configuration.channels
        let isFull = configuration.kind == .full
        self.configuration = configuration
        entry =
            isFull ? .sameSize(scope["conv_in"], inputs: configuration.squareChannels, outputs: channels[0]) : nil
        let inputs = [isFull ? channels[0] : configuration.squareChannels] + channels.dropLast()
        levels = zip(inputs, channels).enumerated().map { index, widths in
            let scope = scope["body.\(index)"]
            let count = configuration.blocksPerLevel
            return isFull
                ? AdapterLevel(scope, inputs: widths.0, outputs: widths.1, blocks: count, isPooled: index > 0)
                : AdapterLevel(light: scope, inputs: widths.0, outputs: widths.1, blocks: count, isPooled: index > 0)
        }
    }

    /// The features, one level after the other.
    ///
    /// - Parameter map: `[1 or 3, H, W]` in [0, 1].
    /// - Precondition: its channels are the adapter's, its sides multiples of the factor.
    public func features(of map: Latent, in context: ComputeContext) -> FeatureRun {
        precondition(map.channels == configuration.mapChannels, "a map of \(map.channels) channels")
        let context = context.with(elementType: .float32)
        let squares = Tensor(
            unshuffling: map.values, channels: map.channels, height: map.height, width: map.width,
            factor: configuration.downsamplingFactor, in: context)
        return FeatureRun(squares, entry: entry, levels: levels, in: context)
    }

    /// Of all features, for a map of `height` x `width`.
    public func work(height: Int, width: Int) -> Work {
        var size = (
            height: height / configuration.downsamplingFactor, width: width / configuration.downsamplingFactor
        )
        var work = entry?.work(height: size.height, width: size.width) ?? Work()
        for (index, level) in levels.enumerated() {
            if index > 0 { size = ((size.height + 1) / 2, (size.width + 1) / 2) }
            work += level.work(height: size.height, width: size.width)
        }
        return work
    }
}

/// A T2I-Adapter on its way from a map to its features, level by level, so that whoever runs it can do something more
/// urgent in between. For the thread that computes alone.
public struct FeatureRun {
    private var hidden: Tensor
    private let entry: Convolution2D?
    private var levels: ArraySlice<AdapterLevel>
    private var features: [Latent] = []
    private let context: ComputeContext

    fileprivate init(_ squares: Tensor, entry: Convolution2D?, levels: [AdapterLevel], in context: ComputeContext) {
        hidden = squares
        self.entry = entry
        self.levels = levels[...]
        self.context = context
    }

    /// Computes the next feature; nil while there are more to come, then all of them, `[C, h, w]` each.
    public mutating func advance() throws -> [Latent]? {
        if features.isEmpty, let entry { hidden = try entry(hidden, in: context) }
        if let level = levels.popFirst() {
            hidden = try level(hidden, in: context)
            features.append(
                Latent(
                    channels: hidden.columns, height: hidden.shape[0], width: hidden.shape[1], values: hidden.planes))
        }
        return levels.isEmpty ? features : nil
    }

    /// Computes what is left.
    public consuming func finished() throws -> [Latent] {
        while true {
            if let features = try advance() { return features }
        }
    }
}

/// The layers of one level. diffusers' `AdapterBlock` and `LightAdapterBlock`.
private struct AdapterLevel: Sendable {
    private let isPooled: Bool
    private let entry: Linear?
    private let blocks: [AdapterBlock]
    private let exit: Linear?

    init(_ scope: ParameterScope, inputs: Int, outputs: Int, blocks count: Int, isPooled: Bool) {
        self.isPooled = isPooled
        entry = inputs == outputs ? nil : Linear(scope["in_conv"], inputs: inputs, outputs: outputs)
        blocks = (0..<count).map { AdapterBlock(scope["resnets.\($0)"], channels: outputs, isLight: false) }
        exit = nil
    }

    init(light scope: ParameterScope, inputs: Int, outputs: Int, blocks count: Int, isPooled: Bool) {
        let inner = outputs / T2IAdapterConfiguration.lightDivisor
        self.isPooled = isPooled
        entry = Linear(scope["in_conv"], inputs: inputs, outputs: inner)
        blocks = (0..<count).map { AdapterBlock(scope["resnets.\($0)"], channels: inner, isLight: true) }
        exit = Linear(scope["out_conv"], inputs: inner, outputs: outputs)
    }

    func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        var hidden = isPooled ? x.averagePooled(in: context) : x
        if let entry { hidden = try entry(hidden, in: context) }
        for block in blocks { hidden = try block(hidden, in: context) }
        return try exit?(hidden, in: context) ?? hidden
    }

    /// - Parameter height: of the feature, as the width.
    func work(height: Int, width: Int) -> Work {
        let pointwise = [entry, exit].compactMap { $0?.work(rows: height * width).asConvolutions }
        return blocks.reduce(pointwise.reduce(Work(), +)) { $0 + $1.work(height: height, width: width) }
    }
}

/// x + block2(ReLU(block1(x))). diffusers' `AdapterResnetBlock` and `LightAdapterResnetBlock`.
private struct AdapterBlock: Sendable {
    private enum Second: Sendable {
        case pointwise(Linear)
        case square(Convolution2D)
    }

    private let first: Convolution2D
    private let second: Second

    init(_ scope: ParameterScope, channels: Int, isLight: Bool) {
        first = .sameSize(scope["block1"], inputs: channels, outputs: channels)
        second =
            isLight
            ? .square(.sameSize(scope["block2"], inputs: channels, outputs: channels))
            : .pointwise(Linear(scope["block2"], inputs: channels, outputs: channels))
    }

    func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        let hidden = try first(x, in: context).rectified(in: context)
        switch second {
        case .pointwise(let linear): return try linear(hidden, addedTo: x, in: context)
        case .square(let convolution): return try convolution(hidden, addedTo: x, in: context)
        }
    }

    func work(height: Int, width: Int) -> Work {
        let firstWork = first.work(height: height, width: width)
        switch second {
        case .pointwise(let linear): return firstWork + linear.work(rows: height * width).asConvolutions
        case .square(let convolution): return firstWork + convolution.work(height: height, width: width)
        }
    }
}
