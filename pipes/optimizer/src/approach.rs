//! The approaches, by their names in `OptiLLM`, and what becomes of those that cannot be had here.

/// A way to spend more calls on a better answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Approach {
    /// The model is asked once, as it is.
    None,
    /// The question is put twice.
    Re2,
    /// The model thinks, reviews, and then answers.
    CotReflection,
    /// Several answers, and a judge.
    Bon,
    /// Several answers, a critique, and an answer made of them.
    Moa,
    /// Several answers, and a vote.
    SelfConsistency,
    /// `SelfConsistency` with more answers.
    MajorityVoting,
    /// Several answers, compared with each other.
    GenSelect,
    /// A tree of answers and improvements.
    Mcts,
    /// Code, a description of the code, and code from that description.
    Rto,
    /// Observations, a plan, and code.
    PlanSearch,
    /// Principles that are learned from mistakes in the examples.
    Leap,
    /// Several lines of reasoning, each checked by completing it again.
    RStar,
    /// A constraint solver computes the answer from a program that the model writes.
    Z3,
    /// Solutions, and a verifier that is tested by false ones.
    Pvg,
    /// Plans, executions, a review, and a rating.
    Cepo,
    /// Agents whose solutions are merged, verified and improved.
    Mars,
    /// A structure of reasoning for the task, then a vote.
    DeepThink,
    /// Notes from a long text.
    Memory,
    /// Personal data are replaced on the way out and put back on the way in.
    Privacy,
    /// Pages behind links are read.
    ReadUrls,
    /// An answer that fits a JSON Schema.
    Json,
    /// A model chooses the approach.
    Router,
    /// A model says how hard the question is, and that sets the effort.
    AutoThink,
    /// A question about a long text is looked up in all its parts.
    LongCepo,
    /// Older turns are made a summary.
    Compact,
    /// Results of a web search are put before the question.
    WebSearch,
    /// A report is drafted, and revised with what searches find.
    DeepResearch,
    /// A program works out the answer; one that cannot be run is gone through by the model.
    Coc,
    /// A program is run, and the model answers with its output.
    ExecuteCode,
    /// Strategies that were learnt from the user's own requests.
    Spl,
    /// The model calls tools of MCP servers until it can answer.
    Mcp,
}

impl Approach {
    /// All approaches.
    pub const ALL: [Self; 32] = [
        Self::None,
        Self::Re2,
        Self::CotReflection,
        Self::Bon,
        Self::Moa,
        Self::SelfConsistency,
        Self::MajorityVoting,
        Self::GenSelect,
        Self::Mcts,
        Self::Rto,
        Self::PlanSearch,
        Self::Leap,
        Self::RStar,
        Self::Z3,
        Self::Pvg,
        Self::Cepo,
        Self::Mars,
        Self::DeepThink,
        Self::Memory,
        Self::Privacy,
        Self::ReadUrls,
        Self::Json,
        Self::Router,
        Self::AutoThink,
        Self::LongCepo,
        Self::Compact,
        Self::WebSearch,
        Self::DeepResearch,
        Self::Coc,
        Self::ExecuteCode,
        Self::Spl,
        Self::Mcp,
    ];

    /// Returns the name in models and bodies.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Re2 => "re2",
            Self::CotReflection => "cot_reflection",
            Self::Bon => "bon",
            Self::Moa => "moa",
            Self::SelfConsistency => "self_consistency",
            Self::MajorityVoting => "majority_voting",
            Self::GenSelect => "genselect",
            Self::Mcts => "mcts",
            Self::Rto => "rto",
            Self::PlanSearch => "plansearch",
            Self::Leap => "leap",
            Self::RStar => "rstar",
            Self::Z3 => "z3",
            Self::Pvg => "pvg",
            Self::Cepo => "cepo",
            Self::Mars => "mars",
            Self::DeepThink => "deepthink",
            Self::Memory => "memory",
            Self::Privacy => "privacy",
            Self::ReadUrls => "readurls",
            Self::Json => "json",
            Self::Router => "router",
            Self::AutoThink => "autothink",
            Self::LongCepo => "longcepo",
            Self::Compact => "compact",
            Self::WebSearch => "web_search",
            Self::DeepResearch => "deep_research",
            Self::Coc => "coc",
            Self::ExecuteCode => "executecode",
            Self::Spl => "spl",
            Self::Mcp => "mcp",
        }
    }

    /// Returns the name for the picker.
    pub fn title(self) -> &'static str {
        match self {
            Self::None => "Plain",
            Self::Re2 => "Re-reading",
            Self::CotReflection => "Reflection",
            Self::Bon => "Best of N",
            Self::Moa => "Mixture of agents",
            Self::SelfConsistency => "Self-consistency",
            Self::MajorityVoting => "Majority voting",
            Self::GenSelect => "Generative selection",
            Self::Mcts => "Tree search",
            Self::Rto => "Round trip",
            Self::PlanSearch => "Plan search",
            Self::Leap => "Learning from mistakes",
            Self::RStar => "Mutual reasoning",
            Self::Z3 => "Solver",
            Self::Pvg => "Prover and verifier",
            Self::Cepo => "Plan and optimise",
            Self::Mars => "Multi-agent reasoning",
            Self::DeepThink => "Deep thinking",
            Self::Memory => "Notes from long texts",
            Self::Privacy => "Privacy",
            Self::ReadUrls => "Reading links",
            Self::Json => "JSON",
            Self::Router => "Chosen approach",
            Self::AutoThink => "Effort by difficulty",
            Self::LongCepo => "Long texts",
            Self::Compact => "Compact history",
            Self::WebSearch => "Web search",
            Self::DeepResearch => "Deep research",
            Self::Coc => "Chain of code",
            Self::ExecuteCode => "Run code",
            Self::Spl => "Learnt strategies",
            Self::Mcp => "Tools of MCP servers",
        }
    }

    /// Returns `true` if it changes the question and leaves the answer to the next stage.
    pub fn is_transformer(self) -> bool {
        matches!(
            self,
            Self::Memory | Self::Privacy | Self::ReadUrls | Self::Compact | Self::WebSearch
        )
    }
}

/// The word before a model's name that asks for an approach, as in `moa-gpt-4o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApproachWord {
    /// An approach.
    Approach(Approach),
    /// The approach that an admin has set for requests that name none.
    Auto,
    /// A name of `OptiLLM`'s that is not served here; why, and what serves instead.
    Unavailable(&'static str),
}

/// Names that are never taken for the beginning of a model's name, although nothing here goes by
/// them.
const UNAVAILABLE: [(&str, &str); 6] = [
    ("cot_decoding", LOGITS),
    ("entropy_decoding", LOGITS),
    (
        "thinkdeeper",
        "it forces tokens while they are written, which no API offers: send `reasoning_effort`, or use `autothink`",
    ),
    (
        "deepconf",
        "it needs the probabilities of tokens, which most APIs do not send: `majority_voting` votes without them",
    ),
    ("batch", "requests are answered at the same time anyway"),
    ("optillm", "name an approach, as in `moa-<model>`"),
];

/// The reason why approaches that need token probabilities are not offered.
const LOGITS: &str = "it needs the probabilities of all tokens, which no API sends: `self_consistency` samples and votes";

/// Parses a word before a model's name, in capitals or not.
pub fn parse_word(text: &str) -> Option<ApproachWord> {
    let text = text.to_ascii_lowercase();
    if text == "auto" {
        return Some(ApproachWord::Auto);
    }
    // What OptiLLM's proxy does is the host's own work.
    if text == "proxy" {
        return Some(ApproachWord::Approach(Approach::None));
    }
    let known = Approach::ALL.into_iter().find(|approach| approach.name() == text);
    known.map(ApproachWord::Approach).or_else(|| {
        let named = UNAVAILABLE.iter().find(|(name, _)| *name == text);
        named.map(|(_, reason)| ApproachWord::Unavailable(reason))
    })
}
