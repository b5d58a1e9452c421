import DiffusionModels

/// Where a model's ladder may be cut: by the time of its rungs, and by their memory.
struct StageCutter: Sendable {
    /// How many times its even share of the memory a stage may have before the cut is made for memory's sake: stages are
    /// there for that. With it four stages of Stable Diffusion 1.5 keep below 40 % of the whole, and two are still cut where
    /// time is shared best.
    private static let evenness = 1.55
    /// The same for two stages, which have nothing to gain from it but memory.
    private static let evennessOfTwo = 1.65
    /// Tried one after the other where no cut is so even.
    private static let uneven = [2, 3, Double.infinity]
    /// Tried where memory is short.
    private static let moreEven = [1.5, 1.4, 1.3, 1.2, 1.1, 1.0]

    private let costs: LadderCosts
    let times: TaskTimes
    private let passes: PicturePasses
    /// Seconds of each rung for one branch of a picture.
    private let rungSeconds: [Double]
    /// Bytes of each rung.
    private let rungBytes: [Double]

    init(_ costs: LadderCosts, times: TaskTimes, passes: PicturePasses, memory: MemoryModel) {
        self.costs = costs
        self.times = times
        self.passes = passes
        rungSeconds = (0..<costs.rungCount).map { Self.seconds(of: $0..<$0 + 1, times, passes) }
        rungBytes = (0..<costs.rungCount).map { rung in
            memory.weights(of: rung..<rung + 1)
                + Double(GuidanceBranch.allCases.count) * memory.pass(on: rung..<rung + 1)
        }
    }

    /// The cuts to try, the preferred one first; the following ones are slower and need less memory. None if there are
    /// fewer rungs than stages.
    func cuts(into stages: Int) -> [[Range<Int>]] {
        func cut(_ evenness: Double) -> [Range<Int>]? {
            let limit = rungBytes.reduce(0, +) / Double(stages) * evenness
            return StageCuts.balanced(costs: rungSeconds, stages: stages, sizes: rungBytes, limit: limit)
        }
        guard
            let preferred = ([stages == 2 ? Self.evennessOfTwo : Self.evenness] + Self.uneven).lazy.compactMap(cut)
                .first
        else { return [] }
        return Self.moreEven.compactMap(cut).reduce(into: [preferred]) { cuts, cut in
            if !cuts.contains(cut) { cuts.append(cut) }
        }
    }

    /// Seconds of all passes of one branch of a picture on a stage.
    func seconds(of stage: Range<Int>) -> Double { Self.seconds(of: stage, times, passes) }

    /// The stage that encodes and decodes: the one that has least to do besides, of those that have the memory for it
    /// without becoming the largest; where none has, the one that stays smallest.
    func pictureStage(of cut: [Range<Int>], memory: MemoryModel) -> Int {
        func bytes(_ stage: Range<Int>, hasPictures: Bool) -> Double {
            memory.share(of: stage, jobs: 1, passesOfJob: 1, hasPictures: hasPictures).bytes
        }
        let loads = cut.map(seconds)
        let without = cut.map { bytes($0, hasPictures: false) }
        let with = cut.map { bytes($0, hasPictures: true) }
        let largest = max(without.max() ?? 0, with.min() ?? 0)
        return cut.indices.filter { with[$0] <= largest }.min { loads[$0] < loads[$1] } ?? 0
    }

    private static func seconds(of stage: Range<Int>, _ times: TaskTimes, _ passes: PicturePasses) -> Double {
        Double(passes.plainCount) * times.seconds(ofPassOn: stage, isRecorded: false)
            + Double(passes.recordedCount) * times.seconds(ofPassOn: stage, isRecorded: true)
    }
}
