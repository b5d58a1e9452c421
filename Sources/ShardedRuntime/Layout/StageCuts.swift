/// Where the ladder is cut.
public enum StageCuts {
    /// The cut of `costs`, one for each rung, into `stages` runs whose dearest is as cheap as can be.
    ///
    /// - Parameters:
    ///   - sizes: what each rung takes of a rank's memory, in the unit of `limit`.
    ///   - fixedSize: what any stage takes besides.
    ///   - limit: no stage may take more.
    /// - Returns: the rungs of each stage; nil if no cut keeps the limit, or there are fewer rungs than stages.
    public static func balanced(
        costs: [Double], stages: Int, sizes: [Double] = [], fixedSize: Double = 0, limit: Double = .infinity
    ) -> [Range<Int>]? {
        precondition(sizes.isEmpty || sizes.count == costs.count, "a size for each rung")
        let count = costs.count
        guard stages > 0, stages <= count else { return nil }
        let costsBefore = sums(costs)
        let sizesBefore = sums(sizes.isEmpty ? [Double](repeating: 0, count: count) : sizes)
        func cost(_ run: Range<Int>) -> Double {
            guard fixedSize + sizesBefore[run.upperBound] - sizesBefore[run.lowerBound] <= limit else {
                return .infinity
            }
            return costsBefore[run.upperBound] - costsBefore[run.lowerBound]
        }
        // best[end] is the dearest stage of the best cut of 0..<end into as many stages as the round says.
        var best = (0...count).map { $0 == 0 ? .infinity : cost(0..<$0) }
        var starts: [[Int]] = [[Int](repeating: 0, count: count + 1)]
        for stage in 1..<max(stages, 1) {
            var next = [Double](repeating: .infinity, count: count + 1)
            var start = [Int](repeating: stage, count: count + 1)
            for end in stage + 1..<count + 1 {
                for middle in stage..<end {
                    let dearest = max(best[middle], cost(middle..<end))
                    if dearest < next[end] { (next[end], start[end]) = (dearest, middle) }
                }
            }
            best = next
            starts.append(start)
        }
        guard best[count].isFinite else { return nil }
        var cuts: [Range<Int>] = []
        var end = count
        for start in starts.reversed() {
            cuts.append(start[end]..<end)
            end = start[end]
        }
        return cuts.reversed()
    }

    private static func sums(_ values: [Double]) -> [Double] {
        values.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
    }
}
