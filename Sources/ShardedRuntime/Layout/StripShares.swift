import DiffusionModels
import NeuralLayers
import TensorKernels

/// What strips make of a stage's time: each computes its rows, and they wait for each other's.
///
/// Numbers that every row needs once (weights) are read by all. Self-attention's gradient takes more where its heads don't
/// come out even. An exchange takes a message's latency, and what a strip receives takes its time on the way, but for what
/// is computed meanwhile: a projection in self-attention. That other keys are gone through while some are on their way
/// shortens nothing: all strips begin with the first one's, and those that have to wait for these are waited for in the
/// next layer.
public struct StripShares: Sendable {
    /// Bytes a second at which a rank reads weights for rows so few that nothing hides it. By it two strips of Stable
    /// Diffusion 1.5 at 256x256 take 1.44 s for both branches' forward passes, where 1.35 to 1.52 s were measured.
    private static let weightBandwidth = 30e9

    public let strips: Int
    /// Between them.
    let link: Calibration.Link
    private let grid: StripGrid
    private let height: Int
    private let elementBytes: Double

    /// - Parameter link: between the ranks that hold the strips.
    init(_ costs: LadderCosts, strips: Int, link: Calibration.Link) {
        self.strips = strips
        self.link = link
        height = costs.latentHeight
        // More levels than any network has do no harm.
        grid = StripGrid(height: costs.latentHeight, width: costs.latentWidth, halvings: 16, strips: strips)
        elementBytes = Double(costs.elementType.byteCount)
    }

    /// Whether a picture of this size can be dealt among so many ranks.
    var areThere: Bool { strips == 1 || !grid.cut(width: grid.finestWidth, rows: height).isShared }

    /// The largest strip's share of the rows at a level `[h, w, channels]`; 1 where all ranks have all rows.
    func share(_ level: [Int]) -> Double {
        let cut = grid.cut(width: level[1], rows: level[0])
        return Double(cut.rows.map(\.count).max() ?? cut.height) / Double(cut.height)
    }

    /// The largest strip's share at the finest level.
    var finestShare: Double { areThere ? Double((height + strips - 1) / strips) / Double(height) : 1 }

    /// What `seconds` of `work` at a level become.
    ///
    /// - Parameter isGradient: whether `work` is a pullback's.
    func seconds(
        _ seconds: Double, of work: Work, at level: [Int], isGradient: Bool, rates: Calibration.Rates
    ) -> Double {
        let share = share(level)
        guard strips > 1, share < 1 else { return seconds }
        let heads = work.fewestHeads ?? 1
        let more = ScaledDotProductAttention.workOfStripGradient(heads: heads, strips: strips) - 1
        let again = isGradient ? more * work.attention * rates.attention : 0
        // Of what the gradient gathers, half is there before it begins.
        let hidden = Gathering(share: isGradient ? 0.5 : 1, seconds: share * work.gatheringLinear * rates.linear)
        return shared(seconds + again, of: work, share, hidden, bytes: elementBytes)
    }

    /// The same for work on a picture, in float32.
    func pictureSeconds(_ seconds: Double, of work: Work, rates: Calibration.Rates) -> Double {
        guard strips > 1, areThere else { return seconds }
        let hidden = Gathering(share: 1, seconds: finestShare * work.gatheringLinear * rates.linear)
        return shared(seconds, of: work, finestShare, hidden, bytes: Double(ElementType.float32.byteCount))
    }

    /// What is computed while gathered elements are on their way.
    private struct Gathering {
        /// Of these elements, those that are.
        let share: Double
        /// How long it takes.
        let seconds: Double

        /// How long they are waited for.
        func waiting(_ transport: Double) -> Double { transport - min(share * transport, seconds) }
    }

    private func shared(
        _ seconds: Double, of work: Work, _ share: Double, _ gathering: Gathering, bytes: Double
    ) -> Double {
        let fixed = min(seconds, Double(work.weightsRead) * bytes / Self.weightBandwidth)
        let others = Double(strips - 1) / Double(strips)
        let borders = bytes * 2 * work.borderElements / link.bandwidth
        let gathered = gathering.waiting(bytes * others * work.gatheredElements / link.bandwidth)
        return fixed + share * (seconds - fixed) + Double(work.exchanges) * link.latency + borders + gathered
    }
}
