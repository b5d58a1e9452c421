import DiffusionModels

/// The loss of one gradient step: L = L_bg + lambda L_s (Eq. 12).
public struct LossValues: Equatable, Sendable, Codable {
    public let total: Double
    /// L_bg, Eq. 10: how far the unconditional reconstruction is from the image where it is kept.
    public let background: Double
    /// L_s, Eq. 11, without its weight: the share of the branches' disagreement that falls on the background.
    public let semantic: Double

    public init(total: Double, background: Double, semantic: Double) {
        self.total = total
        self.background = background
        self.semantic = semantic
    }

    public static let zero = LossValues(total: 0, background: 0, semantic: 0)

    public var isFinite: Bool { total.isFinite && background.isFinite && semantic.isFinite }
}

/// The loss on the two one-step reconstructions, and its gradient with respect to each.
///
/// With d = ztilde_u - ztilde_c, D = ||d||^2 and N = ||(1 - m) d||^2:
///
///     L_bg = 1/4 ||(1 - m) (ztilde_u - z_in)||^2        L_s = N / D, or 0 when D = 0
///     s_u = 1/2 (1 - m)(ztilde_u - z_in) + lambda dL_s/dd        s_c = -lambda dL_s/dd
///     dL_s/dd = 2 (1 - m) d / D - 2 N d / D^2
///
/// Sums run in double precision, so that they don't depend on their order to any digit that matters.
public struct PilotLoss: Sendable {
    /// kappa: the paper's rates and weights were tuned on latents brought to (z + 1) / 2.
    private static let kappa = 0.25

    private let imageLatent: Latent
    private let keep: [Float]

    /// - Parameter imageLatent: z_in, `[channels, h, w]`.
    /// - Precondition: the mask has `imageLatent`'s height and width.
    public init(imageLatent: Latent, mask: LatentMask) {
        precondition(mask.height == imageLatent.height && mask.width == imageLatent.width)
        self.imageLatent = imageLatent
        keep = mask.values.map { 1 - $0 }
    }

    /// The loss, and s_b = dL/dztilde_b for both branches, shaped as z_in.
    ///
    /// - Parameters:
    ///   - unconditional: ztilde_u, shaped as z_in.
    ///   - conditional: ztilde_c, shaped as z_in.
    ///   - semanticWeight: lambda(t).
    public func callAsFunction(
        unconditional: Latent, conditional: Latent, semanticWeight: Double
    ) -> (values: LossValues, unconditionalSeed: Latent, conditionalSeed: Latent) {
        precondition(unconditional.shape == imageLatent.shape && conditional.shape == imageLatent.shape)
        let plane = imageLatent.planeCount
        var distance = 0.0
        var disagreement = 0.0
        var backgroundDisagreement = 0.0
        for index in imageLatent.values.indices {
            let kept = Double(keep[index % plane])
            let error = Double(unconditional.values[index]) - Double(imageLatent.values[index])
            let difference = Double(unconditional.values[index]) - Double(conditional.values[index])
            distance += kept * error * error
            disagreement += difference * difference
            backgroundDisagreement += kept * difference * difference
        }
        let background = Self.kappa * distance
        let semantic = disagreement == 0 ? 0 : backgroundDisagreement / disagreement
        let values = LossValues(
            total: background + semanticWeight * semantic, background: background, semantic: semantic)

        var unconditionalSeed = unconditional
        var conditionalSeed = conditional
        for index in imageLatent.values.indices {
            let kept = Double(keep[index % plane])
            let error = Double(unconditional.values[index]) - Double(imageLatent.values[index])
            let difference = Double(unconditional.values[index]) - Double(conditional.values[index])
            // N / D^2 as L_s / D: D^2 could overflow or vanish where the quotient doesn't.
            let slope =
                disagreement == 0 ? 0 : semanticWeight * 2 * difference * (kept - semantic) / disagreement
            unconditionalSeed.values[index] = Float(2 * Self.kappa * kept * error + slope)
            conditionalSeed.values[index] = Float(-slope)
        }
        return (values, unconditionalSeed, conditionalSeed)
    }
}
