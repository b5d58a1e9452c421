/// The shape of a ControlNet: the way down and the middle of a UNet, with layers of its own around them. diffusers'
/// `ControlNetModel`, as its `config.json` describes it.
public struct ControlNetConfiguration: Decodable, Sendable, Equatable {
    /// The UNet whose way down and middle the net has. Its way up is never built.
    public let encoder: UNetConfiguration
    /// Channels of the layers that bring a map to the latent's size: each but the first halves it.
    public let embeddingChannels: [Int]
    /// Whether the map's channels are blue, green, red.
    public let takesBGR: Bool
    /// Whether the outputs are averaged over the picture, so that the map says what and not where. Such a net acts on the
    /// conditional branch alone.
    public let poolsGlobally: Bool

    /// Channels of a map.
    static let mapChannels = 3
    static let className = "ControlNetModel"
    /// Of all ControlNets in use.
    static let commonEmbeddingChannels = [16, 32, 96, 256]

    enum CodingKeys: String, CodingKey {
        case mapChannels = "conditioning_channels"
        case channelOrder = "controlnet_conditioning_channel_order"
        case embeddingChannels = "conditioning_embedding_out_channels"
        case poolsGlobally = "global_pool_conditions"
    }

    /// The net for a UNet that no file describes.
    init(
        encoder: UNetConfiguration, embeddingChannels: [Int] = commonEmbeddingChannels, takesBGR: Bool = false,
        poolsGlobally: Bool = false
    ) {
        self.encoder = encoder
        self.embeddingChannels = embeddingChannels
        self.takesBGR = takesBGR
        self.poolsGlobally = poolsGlobally
    }

    /// - Throws: an error that is reported with file, key, expected and found.
    public init(from decoder: any Decoder) throws {
        let fields = try ConfigurationFields(decoder)
        encoder = try UNetConfiguration(fields, className: Self.className, hasWayUp: false)
        _ = try fields.integer(
            CodingKeys.mapChannels, in: Self.mapChannels...Self.mapChannels, default: Self.mapChannels)
        embeddingChannels = try fields.integerList(
            CodingKeys.embeddingChannels, in: ConfigurationBounds.channels, default: Self.commonEmbeddingChannels)
        takesBGR = try fields.choice(CodingKeys.channelOrder, default: ChannelOrder.rgb) == .bgr
        poolsGlobally = try fields.flag(CodingKeys.poolsGlobally, default: false)
    }

    /// By how much a map is larger than the latent, along a side.
    public var downsamplingFactor: Int { 1 << (embeddingChannels.count - 1) }

    private enum ChannelOrder: String, CaseIterable {
        case rgb, bgr
    }

    /// Why the net can't act on `unet`, if it can't: its outputs must have the shapes of the UNet's skips, and its
    /// cross-attention takes the same prompt.
    func mismatch(with unet: UNetConfiguration) -> (key: String, expected: String, found: String)? {
        typealias Key = UNetConfiguration.CodingKeys
        let own = "that of the model's UNet"
        let latent = UNetConfiguration.latentChannels
        let sizes: [(key: Key, found: [Int], expected: [Int], why: String)] = [
            (.inputChannels, [encoder.inputChannels], [latent], "the latent alone"),
            (.crossAttentionDimension, [encoder.crossAttentionDimension], [unet.crossAttentionDimension], own),
            (.blockChannels, encoder.blockChannels, unet.blockChannels, own),
            (.layersPerBlock, encoder.layersPerBlock, unet.layersPerBlock, own),
        ]
        func text(_ numbers: [Int]) -> String { numbers.count == 1 ? "\(numbers[0])" : "\(numbers)" }
        return sizes.first { $0.found != $0.expected }.map {
            ($0.key.rawValue, "\(text($0.expected)), \($0.why)", text($0.found))
        }
    }
}
