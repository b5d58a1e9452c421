import ArgumentParser

@main
struct Pilot: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pilot",
        abstract: "Coherent image inpainting by latent space optimisation, on one rank or many.")
}
