import DiffusionModels
import Foundation

/// A model's figures as lines for a person.
struct ModelReport {
    let figures: ModelFigures

    var text: String { [heading, components, operations, ladder, memory].joined(separator: "\n\n") }

    private var heading: String {
        let lines = [
            "\(figures.folder): \(figures.architecture)",
            "predicts \(figures.prediction) (\(predictionSource)), \(figures.trainingSteps) timesteps; prompts of "
                + "\(figures.promptTokens) tokens; \(figures.latentFactor)x\(figures.latentFactor) pixels per latent "
                + "cell",
            figures.missing.isEmpty ? nil : "missing: \(figures.missing.map(Self.missing).joined(separator: ", "))",
            figures.ignored.isEmpty ? nil : "ignored, since no picture depends on it: \(ignored)",
        ]
        return lines.compactMap { $0 }.joined(separator: "\n")
    }

    private var predictionSource: String {
        switch Prediction.Source(rawValue: figures.predictionSource) {
        case .option: "as --prediction says"
        case .metadata: "as the file's metadata say"
        case .key: "as a key of the file says"
        case .probe: "found out by trying it"
        case .family: "as its family does"
        case .configuration, nil: "as its configuration says"
        }
    }

    private static func missing(_ component: String) -> String {
        component == ModelFolder.Component.vae.rawValue ? "\(component) (--vae gives one)" : component
    }

    private var ignored: String {
        figures.ignored.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }

    private var components: String {
        table(
            ["component", "parameters", "stored", "format", "files"],
            figures.components.map {
                [
                    $0.name, millions($0.parameters), gigabytes($0.bytes), $0.elementTypes.joined(separator: "+"),
                    $0.files.map { URL(fileURLWithPath: $0).lastPathComponent }.joined(separator: " "),
                ]
            } + [
                [
                    "all", millions(figures.components.reduce(0) { $0 + $1.parameters }),
                    gigabytes(figures.components.reduce(0) { $0 + $1.bytes }), "", "",
                ]
            ])
    }

    private var operations: String {
        let passes = [
            ("UNet, one branch", figures.unetPass), ("VAE encode", figures.encodingPass),
            ("VAE decode", figures.decodingPass),
        ]
        return "One pass at \(figures.width)x\(figures.height), GFLOP\n"
            + table(
                ["", "convolutions", "linear", "attention", "total", "really done"],
                passes.map { name, pass in
                    [name]
                        + [pass.convolutions, pass.linear, pass.attention, pass.total, pass.done].map(operations)
                })
    }

    private var ladder: String {
        let rungs = figures.rungs.enumerated().map { index, rung in
            ["\(index)", tenths(rung.down), tenths(rung.up), millions(rung.parameters)]
        }
        let middle = ["middle", tenths(figures.middle.down), "", millions(figures.middle.parameters)]
        return "The UNet's ladder, GFLOP\n" + table(["rung", "down", "up", "parameters"], rungs + [middle])
    }

    private var memory: String {
        let memory = figures.memory
        return "Memory of a rank with one branch in \(memory.elementType), counted; buffers and libraries come on top\n"
            + table(
                ["", "weights", "for gradients", "kept by the pass", "sum"],
                [
                    ["forward", gigabytes(memory.weightBytes), "", "", gigabytes(memory.forward)],
                    [
                        "with gradient", gigabytes(memory.weightBytes), gigabytes(memory.gradientWeightBytes),
                        gigabytes(memory.keptBytes), gigabytes(memory.gradient),
                    ],
                ])
    }

    private func operations(_ count: Double) -> String {
        String(format: count < 1 ? "%.3f" : count < 10 ? "%.1f" : "%.0f", count)
    }
    private func tenths(_ number: Double) -> String { String(format: "%.1f", number) }
    private func millions(_ count: Int) -> String { String(format: "%.1f M", Double(count) / 1e6) }

    private func gigabytes(_ bytes: Int) -> String {
        bytes < 1_000_000_000
            ? String(format: "%.1f MB", Double(bytes) / 1e6) : String(format: "%.2f GB", Double(bytes) / 1e9)
    }

    private func table(_ header: [String], _ rows: [[String]]) -> String {
        TextTable(header: header, rows: rows, words: [header[0], "files"]).text
    }
}
