import DiffusionModels
import Failures
import Synchronization
import TensorKernels

/// Text encoder, autoencoder and what adapters have beside the UNet, in float32 whatever the UNet computes in: they run once for a picture, and their
/// roundings would stay in it.
///
/// Each is loaded when it is first needed. When nothing is under way they go, so that their memory is the UNet's
/// meanwhile, unless more pictures are expected.
public final class PictureNetworks: PictureEvaluator {
    /// How the networks are loaded.
    public struct Loader: Sendable {
        let textEncoder: @Sendable () throws -> TextEncoder
        let autoencoder: @Sendable () throws -> Autoencoder
        /// The T2I-Adapter of a number, 0 for the first.
        public var adapter: @Sendable (_ number: Int) throws -> T2IAdapter = { number in
            throw Failure.internalFault("there is no T2I-Adapter \(number + 1)")
        }
        /// Of an IP-Adapter.
        public var projector: @Sendable (_ number: Int) throws -> ImageProjector = { number in
            throw Failure.internalFault("there is no IP-Adapter \(number + 1)")
        }
        public var imageEncoder: @Sendable () throws -> ImageEncoder = {
            throw Failure.internalFault("there is no image encoder")
        }

        public init(
            textEncoder: @escaping @Sendable () throws -> TextEncoder,
            autoencoder: @escaping @Sendable () throws -> Autoencoder
        ) {
            self.textEncoder = textEncoder
            self.autoencoder = autoencoder
        }
    }

    private struct Loaded {
        var textEncoder: TextEncoder?
        var autoencoder: Autoencoder?
        var adapters: [Int: T2IAdapter] = [:]
        var projectors: [Int: ImageProjector] = [:]
        var imageEncoder: ImageEncoder?
    }

    private let loader: Loader
    private let keepsNetworks: Bool
    private let context: ComputeContext
    private let strips: Int
    private let exchange: (any StripExchange)?
    private let loaded = Mutex(Loaded())

    /// - Parameters:
    ///   - context: of the rank's compute thread.
    ///   - keepsNetworks: whether more pictures are expected.
    ///   - strips: among how many ranks a picture's rows are dealt.
    ///   - exchange: the way to the others; nil where there are none.
    public init(
        _ loader: Loader, keepsNetworks: Bool, context: ComputeContext, strips: Int = 1,
        exchange: (any StripExchange)? = nil
    ) {
        self.strips = strips
        self.exchange = exchange
        self.loader = loader
        self.keepsNetworks = keepsNetworks
        self.context = context.with(elementType: .float32)
    }

    public func begin(_ work: PictureWork, _ input: PictureValue) throws -> any PictureComputation {
        // Memory that waits for the UNet's next pass goes back to the system before: the peak is then the larger of the
        // two and not their sum.
        if !keepsNetworks { context.releaseUnusedMemory() }
        switch (work, input) {
        case (.embed, .tokens(let tokens)):
            let encoder = try textEncoder()
            guard encoder.canRead(tokens) else {
                throw Failure.internalFault(
                    "a chunk of a prompt has 1 to \(encoder.configuration.maximumPositions) tokens that the text encoder "
                        + "knows; this one has \(tokens.ids.count)")
            }
            return SingleComputation { [context] in
                let states = try encoder(tokens, in: context)
                let width = encoder.configuration.hiddenSize
                return .planes(Latent(channels: 1, height: tokens.ids.count, width: width, values: states))
            }
        case (.encode, .planes(let picture)):
            let autoencoder = try autoencoder()
            let factor = autoencoder.configuration.downsamplingFactor
            guard picture.channels == 3, picture.planeCount > 0, picture.height % factor == 0,
                picture.width % factor == 0
            else {
                throw Failure.internalFault("a picture has 3 planes of multiples of \(factor), not \(picture.shape)")
            }
            return LayeredComputation(
                autoencoder.encoding(
                    picture.values, height: picture.height, width: picture.width,
                    in: context(of: autoencoder, height: picture.height, width: picture.width))
            ) { .planes($0) }
        case (.decode, .planes(let latent)):
            let autoencoder = try autoencoder()
            let factor = autoencoder.configuration.downsamplingFactor
            let channels = autoencoder.configuration.latentChannels
            guard latent.channels == channels, latent.planeCount > 0 else {
                throw Failure.internalFault("a latent has \(channels) planes, not the shape \(latent.shape)")
            }
            let (height, width) = (latent.height * factor, latent.width * factor)
            let context = context(of: autoencoder, height: height, width: width)
            return LayeredComputation(autoencoder.decoding(latent, in: context)) {
                .planes(Latent(channels: 3, height: height, width: width, values: $0))
            }
        case (.adapt, .shown(let map, let number)): return try adapting(map, number)
        case (.see, .shown(let picture, let number)): return try seeing(picture, number)
        default: throw Failure.internalFault("\(work) was asked of something else than it takes")
        }
    }

    /// With the strips of pictures of that size.
    private func context(of autoencoder: Autoencoder, height: Int, width: Int) -> ComputeContext {
        guard let exchange else { return context }
        let levels = autoencoder.configuration.blockChannels.count
        return context.with(
            StripGrid(height: height, width: width, halvings: levels - 1, strips: strips), exchange)
    }

    private func adapting(_ map: Latent, _ number: Int) throws -> any PictureComputation {
        let adapter = try kept(\.adapters[number]) { try loader.adapter(number) }
        let (channels, factor) = (adapter.configuration.mapChannels, adapter.configuration.downsamplingFactor)
        guard map.channels == channels, map.planeCount > 0, map.height % factor == 0, map.width % factor == 0 else {
            throw Failure.internalFault("a map has \(channels) planes of multiples of \(factor), not \(map.shape)")
        }
        return FeatureComputation(adapter.features(of: map, in: context))
    }

    private func seeing(_ picture: Latent, _ number: Int) throws -> any PictureComputation {
        let projector = try kept(\.projectors[number]) { try loader.projector(number) }
        let encoder = try kept(\.imageEncoder) { try loader.imageEncoder() }
        let side = encoder.configuration.imageSize
        guard picture.shape == [3, side, side] else {
            throw Failure.internalFault("an image encoder sees 3 planes of \(side)x\(side), not \(picture.shape)")
        }
        return TokenComputation(ImageTokenRun(projector, encoder, picture, in: context))
    }

    public func rest() {
        guard !keepsNetworks else { return }
        loaded.withLock { $0 = Loaded() }
        context.releaseUnusedMemory()
    }

    private func textEncoder() throws -> TextEncoder { try kept(\.textEncoder) { try loader.textEncoder() } }

    private func autoencoder() throws -> Autoencoder { try kept(\.autoencoder) { try loader.autoencoder() } }

    private func kept<Network: Sendable>(
        _ place: any WritableKeyPath<Loaded, Network?> & Sendable, load: () throws -> Network
    ) throws -> Network {
        if let known = loaded.withLock({ $0[keyPath: place] }) { return known }
        let network = try load()
        loaded.withLock { $0[keyPath: place] = network }
        return network
    }
}

/// A T2I-Adapter, level by level.
private final class FeatureComputation: PictureComputation {
    private var run: FeatureRun

    init(_ run: FeatureRun) { self.run = run }

    func advance() throws -> PictureValue? { try run.advance().map { .made($0) } }
}

/// An IP-Adapter's picture, layer by layer.
private final class TokenComputation: PictureComputation {
    private var run: ImageTokenRun

    init(_ run: ImageTokenRun) { self.run = run }

    func advance() throws -> PictureValue? { try run.advance().map { .made([$0.tokens, $0.negativeTokens]) } }
}

/// Done in one go.
private final class SingleComputation: PictureComputation {
    private let body: () throws -> PictureValue

    init(_ body: @escaping () throws -> PictureValue) { self.body = body }

    func advance() throws -> PictureValue? { try body() }
}

private final class LayeredComputation<Output>: PictureComputation {
    private var run: LayeredRun<Output>
    private let value: (Output) -> PictureValue

    init(_ run: LayeredRun<Output>, value: @escaping (Output) -> PictureValue) {
        self.run = run
        self.value = value
    }

    func advance() throws -> PictureValue? { try run.advance().map(value) }
}
