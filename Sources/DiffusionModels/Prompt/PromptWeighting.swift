import Failures

/// Makes tokens of a chunk count more or less.
public enum PromptWeighting {
    /// Multiplies each token's state by its weight, and all by what brings their mean back to what it was, as
    /// AUTOMATIC1111's web UI does; where all weigh 1, nothing is changed.
    ///
    /// - Parameters:
    ///   - states: a chunk's `[tokens, width]`, row-major.
    ///   - weights: one a token.
    ///   - restoresMean: whether the mean is brought back.
    ///   - option: what gives the prompt, for messages.
    /// - Throws: `Failure.usage` where that leaves no numbers.
    public static func apply(
        _ weights: [Float], to states: [Float], restoresMean: Bool, givenBy option: String
    ) throws -> [Float] {
        guard weights.contains(where: { $0 != 1 }) else { return states }
        precondition(states.count.isMultiple(of: weights.count), "a token's states are a row")
        let width = states.count / weights.count
        var weighted = states
        for index in weighted.indices { weighted[index] *= weights[index / width] }
        if restoresMean {
            let factor = Float(sum(states) / sum(weighted))
            for index in weighted.indices { weighted[index] *= factor }
        }
        guard weighted.allSatisfy(\.isFinite) else {
            throw Failure.usage(
                "\(option): the prompt's weights leave numbers that are infinite or none; "
                    + (restoresMean
                        ? "take smaller weights, or leave the mean as it becomes with --no-prompt-rescale"
                        : "take smaller weights"))
        }
        return weighted
    }

    private static func sum(_ values: [Float]) -> Double { values.reduce(0) { $0 + Double($1) } }
}
