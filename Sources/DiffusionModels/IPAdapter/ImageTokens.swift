import TensorKernels

/// What an IP-Adapter makes of a picture, and of none: the latter is what the unconditional branch sees.
public struct ImageTokens: Sendable, Equatable {
    /// `[1, tokens, width]`
    public let tokens: Latent
    public let negativeTokens: Latent

    public init(tokens: Latent, negativeTokens: Latent) {
        self.tokens = tokens
        self.negativeTokens = negativeTokens
    }
}

/// An IP-Adapter on its way from a picture to its tokens, layer by layer, so that whoever runs it can do something more
/// urgent in between. For the thread that computes alone.
public struct ImageTokenRun {
    private let projector: ImageProjector
    private let context: ComputeContext
    private let encoder: ImageEncoder
    private var run: LayeredRun<Tensor>
    /// Of the picture, when the encoder is on what is none.
    private var tokens: Latent?

    /// - Parameter picture: `[3, S, S]` in the encoder's colours.
    public init(_ projector: ImageProjector, _ encoder: ImageEncoder, _ picture: Latent, in context: ComputeContext) {
        self.projector = projector
        self.encoder = encoder
        self.context = context.with(elementType: .float32)
        run =
            projector.seesEmbedding
            ? encoder.embedding(of: picture, in: self.context)
            : encoder.penultimateStates(of: picture, in: self.context)
    }

    /// Computes the next layer; nil while there are more to come.
    public mutating func advance() throws -> ImageTokens? {
        guard let seen = try run.advance() else { return nil }
        let projected = try projected(seen)
        if let tokens { return ImageTokens(tokens: tokens, negativeTokens: projected) }
        if let nothing = projector.ofNothing(in: context) {
            return ImageTokens(tokens: projected, negativeTokens: try self.projected(nothing))
        }
        tokens = projected
        let side = encoder.configuration.imageSize
        let nothing = Latent(channels: ImageEncoderConfiguration.imageChannels, height: side, width: side)
        run = encoder.penultimateStates(of: nothing, in: context)
        return nil
    }

    /// Computes what is left.
    public consuming func finished() throws -> ImageTokens {
        while true {
            if let tokens = try advance() { return tokens }
        }
    }

    private func projected(_ x: Tensor) throws -> Latent {
        let tokens = try projector(x, in: context)
        return Latent(channels: 1, height: tokens.rows, width: tokens.columns, values: tokens.floats)
    }
}
