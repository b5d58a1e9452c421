import Failures

/// The parts of a model that LoRAs tell apart.
public enum LoRAPlace: String, Sendable, CaseIterable {
    case selfAttention = "unet self-attention"
    case crossAttention = "unet cross-attention"
    case feedForward = "unet feed-forward"
    case projections = "unet projections"
    case residualBlocks = "unet residual blocks"
    case otherUNet = "unet, other"
    case textAttention = "text encoder attention"
    case textFeedForward = "text encoder feed-forward"
    case unknown

    fileprivate init(_ target: LoRATarget) {
        func has(_ word: String) -> Bool { target.module.split(separator: ".").contains { $0 == word } }
        switch target.component {
        case .textEncoder: self = has("mlp") ? .textFeedForward : .textAttention
        case .unet, .vae:
            let places: [(String, LoRAPlace)] = [
                ("attn1", .selfAttention), ("attn2", .crossAttention), ("ff", .feedForward),
                ("attentions", .projections), ("resnets", .residualBlocks),
            ]
            self = places.first { has($0.0) }?.1 ?? .otherUNet
        }
    }
}

extension LoRAFile {
    /// For which models it is, in words, as far as it tells.
    public var purpose: String? { LoRAFamily(modules)?.description }

    /// The modules of a built-in architecture that it would fit, if it tells its family and that is one.
    public var targetsOfFamily: LoRATargets? {
        guard case .contextWidth(let width)? = LoRAFamily(modules) else { return nil }
        let architecture = [ModelArchitecture.sd15, .sd21].first { $0.unet.crossAttentionDimension == width }
        return architecture.map { LoRATargets(unet: $0.unet, textEncoder: $0.textEncoder) }
    }

    /// How many modules it changes of which part.
    ///
    /// - Parameter targets: the model's; nil if it is not known.
    public func counts(in targets: LoRATargets?) -> [LoRAPlace: Int] {
        modules.reduce(into: [:]) { counts, module in
            counts[targets?[module.name].map(LoRAPlace.init) ?? .unknown, default: 0] += 1
        }
    }

    /// Finds out whether it fits a model.
    ///
    /// - Throws: `Failure.badData` saying what does not.
    public func check(against targets: LoRATargets) throws { _ = try matched(with: targets) }
}
