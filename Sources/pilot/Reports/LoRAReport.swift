import DiffusionModels
import Failures

/// A LoRA's figures as lines for a person. What a stranger wrote is quoted.
struct LoRAReport {
    let figures: LoRAFigures

    var text: String {
        [
            heading,
            figures.alphas.isEmpty ? nil : "alpha \(range(figures.alphas))",
            figures.purpose.map { "\($0), as its tensors say" },
            figures.name.map { "name: \(quoted($0))" },
            figures.baseModel.map { "base model: \(quoted($0))" },
            figures.trigger.map { "trigger: \(quoted($0))" },
            tags,
            parts,
            fit,
        ].compactMap { $0 }.joined(separator: "\n")
    }

    private var heading: String {
        let ranks = figures.ranks.isEmpty ? "" : ", rank \(range(figures.ranks))"
        let decomposed = figures.decomposed == 0 ? "" : ", \(figures.decomposed) with magnitudes (DoRA)"
        let stabilized = figures.rankStabilized == 0 ? "" : ", \(figures.rankStabilized) rank-stabilised (rslora)"
        return
            "\(figures.file): \(figures.kinds.joined(separator: " and ")) of \(Console.count(figures.modules, "module"))"
            + ranks + decomposed + stabilized
    }

    private var tags: String? {
        guard !figures.tags.isEmpty else { return nil }
        return "tags of its captions: " + figures.tags.map { "\(quoted($0.text)) \($0.count)" }.joined(separator: ", ")
    }

    private var parts: String {
        let rows = LoRAPlace.allCases.compactMap { place in
            figures.parts[place.rawValue].map { [place.rawValue, "\($0)"] }
        }
        return "\n" + TextTable(header: ["part", "modules"], rows: rows, words: ["part"]).text
    }

    private var fit: String? {
        figures.model.map { model in
            figures.misfit.map { "\nit does not fit \(model): \($0)" } ?? "\nit fits \(model)"
        }
    }

    /// The one number, or the least and the greatest of several.
    private func range<Number: Comparable>(_ numbers: [Number]) -> String {
        guard let least = numbers.first, let greatest = numbers.last, least != greatest else {
            return numbers.first.map { "\($0)" } ?? ""
        }
        return "\(least) to \(greatest)"
    }
}
